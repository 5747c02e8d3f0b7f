"""The command ``calibrate``: correct a scale with a known crystal, and save the correction as a profile."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import api
from ..core.crystal.phase import Phase
from ..core.crystal.phase_selection import find_phase
from ..core.image.calibration import Correction
from ..core.image.calibration_reference import (
    CalibrationFeature,
    choose_feature,
    correction_on,
    miller,
    nearest_reflection,
    spacing,
)
from ..core.image.micrograph import Micrograph
from ..io.exchange.calibration_profile import (
    CalibrationProfile,
    profile_of,
    profiles_folder,
    save_profile,
    setting_words,
)
from . import main as cli
from .common import FAILED, OK, UsageError, add_debug, add_image, argument_type, failure
from .output import table

ABOUT = """\
Correct the scale of an image with a known crystal in it, and save the correction as a profile for all images
with the same microscope and magnification. Without --spot the spots and rings of the image are measured and
listed with their numbers; then state what one of them is: a reflection of a phase, or a d in nm.
A whole grain of a known crystal gives more: the scale, and how the lens or the scan stretches and shears the
image (--phase and --grain). For micrographs in nm and diffraction patterns in 1/nm."""
EXAMPLES = """\
examples:
  napari-tem-fft calibrate gold.dm4
  napari-tem-fft calibrate gold.dm4 --spot 3 --phase Au --hkl 1,1,1 -o titan_380kx.json
  napari-tem-fft calibrate gold.dm4 --spot 3 --spot 7 --per-axis --phase Au --hkl 1,1,1 --hkl 2,0,0
  napari-tem-fft calibrate gold.dm4 --phase Au --grain -o titan_380kx.json
  napari-tem-fft calibrate si.dm4 --spot 0.31@45 --d 0.31356
  napari-tem-fft calibrate rings.dm4 --spot r1 --spot r2 --phase Au --hkl 111 --hkl 200"""
#: Largest distance between a spot of the reference crystal and a reflection after the correction.
SAME_REFLECTION = 0.02


def add_command(commands: Any, name: str) -> None:
    """Add the command to the parser."""
    parser = cli.add_command(
        commands, name, description=ABOUT, epilog=EXAMPLES, usage="napari-tem-fft calibrate FILE [options]",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", type=Path, help="image of the reference crystal")
    parser.add_argument(
        "--spot",
        metavar="WHICH",
        action="append",
        default=[],
        help="a spot by its number (3), a ring (r1), d in nm (0.236), azimuth (@30), or both (0.236@30);"
        " can be repeated",
    )
    parser.add_argument("--phase", metavar="NAME", help="reference phase: id, name, alias or formula")
    parser.add_argument(
        "--cif", metavar="DIR", type=Path, help="folder of CIF files added to the phase table"
    )
    parser.add_argument(
        "--hkl",
        metavar="H,K,L",
        action="append",
        default=[],
        type=argument_type(miller),
        help="its reflection, one for each spot",
    )
    parser.add_argument(
        "--d", metavar="NM", action="append", default=[], type=float,
        help="the true d instead of a phase and hkl, one for each spot",
    )  # fmt: skip
    parser.add_argument(
        "--per-axis", action="store_true", help="a separate factor for each axis, from at least two spots"
    )
    parser.add_argument(
        "--grain",
        metavar="N",
        type=int,
        nargs="?",
        const=0,
        help="a whole grain of the phase gives scale, stretch and shear; default: the one with most spots",
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="profile to write (.json)")
    parser.add_argument(
        "--offer", metavar="NAME", type=_profile_path,
        help="save the profile under this name in your own folder: napari offers it for matching images",
    )  # fmt: skip
    profile = parser.add_argument_group("images to which the profile applies (default: as in the file)")
    profile.add_argument("--microscope", metavar="NAME", help="'' for any")
    profile.add_argument("--magnification", metavar="X", type=float, help="0 for any")
    add_image(parser)
    add_debug(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    _check_arguments(args)
    try:
        phase = _phase(args)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    try:
        _calibrate(args, phase)
    except UsageError:
        raise
    except (ValueError, OSError, MemoryError) as error:
        failure(args.file, error, args.debug)
        return FAILED
    return OK


def _profile_path(name: str) -> Path:
    """Path of a profile with this name in the user's folder."""
    if not name.strip() or name.startswith(".") or set(name) & set('/\\:*?"<>|'):
        raise argparse.ArgumentTypeError(f"{name!r} is not a valid file name")
    return profiles_folder() / f"{name.removesuffix('.json')}.json"


def _check_arguments(args: argparse.Namespace) -> None:
    """Check everything that can be wrong with the command itself."""
    if args.hkl and args.d:
        raise UsageError("give a phase with --hkl, or --d, not both")
    if args.grain is not None and (args.spot or args.hkl or args.d or args.per_axis or not args.phase):
        raise UsageError("--grain uses all spots of a grain: give --phase with it, and no spot, hkl or d")
    if args.grain is None and bool(args.hkl) != bool(args.phase):
        raise UsageError("a reflection needs --phase and --hkl")
    known = len(args.hkl) + len(args.d)
    if args.spot and not known:
        raise UsageError("state what the spot is: --phase and --hkl, or --d")
    if known and not args.spot:
        raise UsageError("state which spot it is with --spot; without it the spots are listed")
    if known not in (0, 1, len(args.spot)):
        raise UsageError(f"{len(args.spot)} spots need as many reflections, or one for all, not {known}")
    saved = args.output is not None or args.offer is not None
    if saved and args.pixel_size is not None:
        raise UsageError("a profile corrects the scale of files; with --pixel-size no profile can be saved")
    if saved and not args.spot and args.grain is None:
        raise UsageError("there is no correction to save: choose a spot with --spot, or --phase and --grain")


def _phase(args: argparse.Namespace) -> Phase | None:
    if args.phase is None:
        return None
    phases, _ = api.reference_table(args.cif)
    return find_phase(phases, args.phase)


def _calibrate(args: argparse.Namespace, phase: Phase | None) -> None:
    micrograph = _read_image(args)
    features = api.measure_calibration_features(micrograph)
    if not features:
        raise ValueError(f"{micrograph.name}: no spots or rings were found in this image")
    print(f"{args.file}\n  scale: {micrograph.calibration.sentence()}")
    if not args.spot and args.grain is None:
        print(
            "\n".join(
                [
                    *_list_features(features),
                    "choose one with --spot, and state what it is: --phase and --hkl, or --d;"
                    " or determine scale and stretch from a whole grain: --phase and --grain",
                ]
            )
        )
        return
    try:
        if args.grain is None or phase is None:
            correction = _correction(args, features, phase)
        else:
            correction = api.calibrate_on_grain(micrograph, phase, args.grain or None)
    except ValueError as error:
        raise UsageError(str(error)) from error
    corrected = replace(micrograph, calibration=micrograph.calibration.corrected(correction))
    fy, fx = correction.factors
    factors = f"{fy:.5f}" if fy == fx else f"y {fy:.5f}, x {fx:.5f}"
    if correction.shear is not None:
        factors += f", shear {100 * correction.shear:+.2f} %"
    print(
        f"corrected on {correction.standard}: factor {factors}\n  scale: {corrected.calibration.sentence()}"
    )
    print("\n".join(_compare(features, correction, phase)))
    if args.pixel_size is None:
        _save(args, micrograph, correction)
    else:
        size = ",".join(f"{s:.6g}" for s in dict.fromkeys(corrected.calibration.scale))
        print(
            f"  use it with: --pixel-size {size} --calibration-uncertainty {100 * correction.uncertainty:.2g}"
        )


def _read_image(args: argparse.Namespace) -> Micrograph:
    read = api.read(args.file, None, args.image, args.frame)
    if read.calibration.space == "reciprocal":
        return api.read_pattern(args.file, args.pixel_size, args.image, args.frame, args.calibration_profile)
    return api.read(args.file, args.pixel_size, args.image, args.frame, args.calibration_profile)


def _list_features(features: Sequence[CalibrationFeature]) -> list[str]:
    rows = [
        (
            feature.label,
            f"{feature.d:.5f} +/- {feature.d_sigma:.5f}",
            "ring" if feature.azimuth is None else f"{feature.azimuth:.2f}",
            f"{feature.strength:.1f}",
        )
        for feature in features
    ]
    return table([("spot", "d (nm)", "azimuth (deg)", "SNR"), *rows])


def _correction(
    args: argparse.Namespace, features: Sequence[CalibrationFeature], phase: Phase | None
) -> Correction:
    chosen = [choose_feature(features, text) for text in args.spot]
    if len({feature.label for feature in chosen}) < len(chosen):
        raise ValueError("the same spot is given twice")
    if phase is None:
        known, standard = list(args.d), "d = " + ", ".join(f"{d:g} nm" for d in args.d)
    else:
        known = [spacing(phase, hkl) for hkl in args.hkl]
        standard = f"{phase.id} " + ", ".join(" ".join(map(str, hkl)) for hkl in args.hkl)
    return correction_on(chosen, known * (len(chosen) // len(known)), standard, args.per_axis)


def _compare(
    features: Sequence[CalibrationFeature], correction: Correction, phase: Phase | None
) -> list[str]:
    """Table of the features before and after the correction, with the nearest reflection of the phase."""
    rows = []
    for feature in features:
        after = feature.correct_scale(correction)
        row = [feature.label, f"{feature.d:.5f}", f"{after.d:.5f}"]
        if phase is not None:
            hkl, off = nearest_reflection(phase, after.d)
            row += [hkl, f"{100 * off:+.2f} %"] if abs(off) < SAME_REFLECTION else ["", ""]
        rows.append(tuple(row))
    head = ("spot", "d before (nm)", "d after (nm)", *((f"{phase.id} nearest", "off") if phase else ()))
    return table([head, *rows])


def _save(args: argparse.Namespace, micrograph: Micrograph, correction: Correction) -> None:
    profile = _limit_rows(profile_of(micrograph, correction), args)
    place = setting_words(profile)
    targets = [path for path in (args.output, args.offer) if path is not None]
    if not targets:
        print(f"  applies to {place}; save it with -o FILE.json")
    for path in targets:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_profile(path, profile)
        print(f"  saved for {place}: {path}\n  use it with: --calibration-profile {path}")


def _limit_rows(profile: CalibrationProfile, args: argparse.Namespace) -> CalibrationProfile:
    """Restrict the profile to the images that the user specifies."""
    if args.microscope is not None:
        profile = replace(profile, microscope=args.microscope)
    if args.magnification is not None:
        profile = replace(profile, magnification=args.magnification or None)
    return profile
