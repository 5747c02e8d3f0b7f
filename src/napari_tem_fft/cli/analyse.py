"""The commands ``analyse``, ``sample`` and ``phases``."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray
from tqdm import tqdm

from .. import api
from ..core.crystal.phase import Phase
from ..core.crystal.phase_library import PhaseLibrary
from ..core.crystal.phase_selection import extended_left_out
from ..core.image.calibration import stated_uncertainty
from ..core.maps.component_map import colours_of
from ..core.matching import EvidenceCache, Outcome, OverrideKind, PhaseOverride, merge_overrides
from ..core.matching.assignment import CandidateSet
from ..core.matching.library_candidates import LibrarySearch
from ..core.pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from ..core.progress import Step, exhaust
from ..core.reanalysis import reanalyse_after_override
from ..core.text import printable
from ..io.exchange.calibration_profile import load_profile
from ..io.phases.index_cache import prepared_choice
from ..io.phases.library import open_library, unasked_library
from ..io.phases.table import load_table
from ..io.results.folder import folder_of, save_results
from ..io.results.overrides import (
    read_decisions,
    read_specimen,
    stored_decisions,
    stored_specimen,
)
from .common import (
    FAILED,
    OK,
    UsageError,
    each_file,
    picture_options,
    say,
)
from .options import params_from, percent_from
from .output import phase_lines, phase_table, report

BAR = "{desc} |{bar:30}| {n_fmt}/{total_fmt}{postfix}"


@dataclass(frozen=True, slots=True, eq=False)
class _Settings:
    """Settings with which all files of a command are analysed."""

    choice: CandidateSet
    evidence: EvidenceCache
    decisions: tuple[PhaseOverride, ...]
    params: AnalysisParams
    segment: Segment | None
    specimen: NDArray[Any] | None
    uncertainty: float | None


def analyse(args: argparse.Namespace) -> int:
    """Run ``analyse``."""
    # importing matplotlib takes a tenth of the command's time: it is done while the first image is analysed
    threading.Thread(target=import_module, args=("napari_tem_fft.io.figures.grains",), daemon=True).start()
    job = _prepare(args)
    colours = dict[str, str]()
    failed = each_file(args.files, args.debug, lambda path: _analyse_file(path, args, job, colours))
    if len(args.files) > 1:
        print(f"{len(args.files) - failed} of {len(args.files)} files analysed")
    return FAILED if failed else OK


def _prepare(args: argparse.Namespace) -> _Settings:
    """Check everything that can be wrong with the command itself before the first file is opened."""
    if len(args.files) > 1 and (args.override or args.lock or args.reject):
        raise UsageError("grain numbers refer to one image: override the phases of one file at a time")
    if len(args.files) > 1 and args.specimen is not None:
        raise UsageError("a specimen mask belongs to one image: use it with one file at a time")
    if len(args.files) > 1 and (args.delete_spots or args.restore_spots or args.add_spot):
        raise UsageError("spot ids refer to one image: edit the spots of one file at a time")
    choice, params, segment, known = settings_of(args)
    try:
        given = args.override or args.lock or args.reject
        decisions = _decisions(args, api.reference_table(args.cif)[0] if given else ())
        specimen = None if args.specimen is None else read_specimen(args.specimen)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    return _Settings(choice, EvidenceCache(), decisions, params, segment, specimen, known)


def settings_of(
    args: argparse.Namespace,
) -> tuple[CandidateSet, AnalysisParams, Segment | None, float | None]:
    """Settings for all images of a command: candidates, parameters, network, uncertainty of the scale.

    The calibration profile is read and replaces its path in `args`.

    Raises
    ------
    UsageError
        If a file cannot be read, or a setting is impossible.
    """
    try:
        if args.calibration_profile is not None:
            args.calibration_profile = load_profile(args.calibration_profile)
        table, params = _table(args), params_from(args)
        library, searched = library_of(args, table)
        sets = args.sets if library is None or args.elements or args.sets else ("all",)
        chosen = api.select(args.phases, sets, args.elements, table)
        segment = api.segment_of(params)
        percent = percent_from(args)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    known = None if percent is None else stated_uncertainty(percent)
    stated = args.phases is not None or args.elements is not None
    choice = replace(prepared_choice(chosen, table, stated), library=library, searched=searched)
    return choice, params, segment, known


def _table(args: argparse.Namespace) -> tuple[Phase, ...]:
    """All phases that can be named; warnings about their files are printed."""
    cif = args.cif
    if cif is not None and not cif.exists():  # several paths, separated as in PATH
        cif = str(cif).split(os.pathsep)
    table, notes = api.reference_table(cif)
    for note in notes:
        say(note)
    return table


def library_of(
    args: argparse.Namespace, table: Sequence[Phase]
) -> tuple[PhaseLibrary | None, LibrarySearch | None]:
    """The library that the command searches, or the contents of the one that it does not search.

    Raises
    ------
    ValueError
        If it is combined with a choice of phases, or cannot be read.
    """
    if not args.library:
        return None, unasked_library(args.elements, args.library_file)
    if args.phases:
        raise ValueError("--library searches by elements: omit --phases, or --library")
    return open_library(args.elements, args.library_file, table), None


def _decisions(args: argparse.Namespace, table: Sequence[Phase]) -> tuple[PhaseOverride, ...]:
    kinds: tuple[OverrideKind, ...] = ("override", "lock", "reject")
    return tuple(one for kind in kinds for one in read_decisions(kind, getattr(args, kind), table))


def _analyse_file(path: Path, args: argparse.Namespace, job: _Settings, colours: dict[str, str]) -> None:
    """Analyse a file; components keep their colours of earlier files, and new ones are added."""
    micrograph = api.read(
        path, args.pixel_size, args.image, args.frame, args.calibration_profile, job.uncertainty
    )
    if args.roi:
        micrograph = api.cut(micrograph, args.roi)
    folder = folder_of(path, args.output)
    earlier = () if args.forget else stored_decisions(folder, micrograph.file_hash)
    decisions = merge_overrides(earlier, job.decisions)
    drawn = None if args.forget else stored_specimen(folder, micrograph.file_hash)
    specimen = drawn if job.specimen is None else job.specimen
    edits = args.delete_spots, args.restore_spots, args.add_spot
    edited = any(edits)  # edits renumber the grains, so overrides are applied after them
    choice = job.choice if edited else replace(job.choice, decisions=decisions)
    evidence = job.evidence.for_another_image()
    steps = analysis_steps(micrograph, choice, job.params, job.segment, specimen, evidence)
    with tqdm(desc=printable(path.name), bar_format=BAR, leave=False, disable=None) as bar:
        analysis: Analysis = exhaust(steps, lambda step: _advance(bar, step))
        if edited:
            analysis = api.with_edited_spots(analysis, *edits)
            if decisions:
                analysis = exhaust(reanalyse_after_override(analysis, decisions))
        bar.set_postfix_str("writing")
        colours.update(colours_of((part.name for part in analysis.components), colours))
        picture = picture_options(args)
        save_results(analysis, folder, inverses=args.ifft, unit=args.unit, known=colours, picture=picture)
        if args.temfft:
            api.save(analysis, args.output / f"{path.name}.temfft")
    gone = len(decisions) - len(analysis.decisions)
    if gone:
        say(f"{path.name}: {gone} overrides were dropped: their grains no longer exist")
    place, written = printable(str(path)), printable(str(folder))
    unsure = any(part.outcome is not Outcome.IDENTIFIED for part in analysis.components)
    left_out = extended_left_out(analysis.phases, load_table()) if unsure else ""
    note = f"  {left_out}\n" if left_out else ""
    print(f"{place}\n{report(analysis, args.unit)}\n{note}  results: {written}\n", flush=True)


def _advance(bar: tqdm[NoReturn], step: Step) -> None:
    bar.total = step.total
    bar.set_postfix_str(step.name, refresh=False)
    bar.update(step.done - bar.n)


def sample(args: argparse.Namespace) -> int:
    """Run ``sample``."""
    content = (files("napari_tem_fft") / "data" / "sample.dm4").read_bytes()
    path = args.output / "sample.dm4"
    try:
        if path.exists() and path.read_bytes() != content:
            raise FileExistsError(f"{path} exists and is a different file; choose another folder with -o")
        args.output.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        say(str(error))
        return FAILED
    print(path)
    return OK


def phases(args: argparse.Namespace) -> int:
    """Run ``phases``."""
    if args.names:
        args.phases = [*(args.phases or ()), *args.names]
    try:
        chosen = api.select(args.phases, args.sets, args.elements, table := _table(args))
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    if args.names:
        print("\n\n".join(phase_lines(phase, table, args.unit) for phase in chosen))
    else:
        print(phase_table(chosen, len(table), args.unit))
    return OK
