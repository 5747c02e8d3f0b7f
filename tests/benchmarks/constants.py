"""Sensitivity of the results to the constants of core: each one is halved and doubled.

    python tests/benchmarks/constants.py [--only grains/peaks] [--most 30] [--json FILE]

Each module-level constant of core that consists of numbers only and does not begin with an underscore is
changed in the source while it is imported, so that derived values change too; a separate process then
analyses eight images of 512 x 512 pixels (two crystals of two phases; one across the film's edge; two at a
low dose; twins; silicon next to LiF; one that fills the field; two weak ones; a film without crystals), and
for constants of `core/saed` three patterns. Constants that no function reads in the process are omitted.
Integers are rounded and at least 1. All changes take half an hour of processor time; `--json` continues where
it ended.

One line per change, largest effect first:

- *F1* of the enabled spots: reflections of at least 0.2 of their crystal's strongest should be found; correct
  spots are within 1.5 % and 1.5 degrees of a reflection of a true crystal;
- *d*: median error of d of the correct spots, %;
- *area*: mean overlap (intersection over union) of each true crystal with the grain that covers it best;
- *grains*: their number; *right*, *wrong*: named crystals, and names of phases that are not in the image;
- *belief*: mean probability of the true phase in the match with the highest one;
- *film*: fraction of the area that is correctly classified as film or vacuum;
- *moves*: the sum of the changes of F1, area, belief, film, and of the numbers of grains, right and wrong
  names, each divided by the number of crystals, and a quarter of the relative change of d's error (at most
  1).

Constants may matter for cases that are not among the eight images (rare defects of cameras, large grains,
many phases): a constant without effect here is not necessarily useless.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import yaml

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
CORE = TESTS.parent / "src" / "napari_tem_fft" / "core"
PACKAGE = "napari_tem_fft"
SIDE, PIXEL, MARGIN = 512, 0.03, 64
PHASES = (
    "Cu",
    "Li2O",
    "LiF",
    "Au",
    "Ag",
    "Si",
    "NaCl",
    "Li2CO3",
    "Al",
    "Ni",
    "Fe_bcc",
    "Li",
    "MgO",
    "graphite",
)
#: Seconds of processor after which a changed constant counts as failed.
LONGEST = 150


@dataclass(frozen=True)
class Constant:
    """A constant: its module such as "grains/peaks", its name and its value."""

    module: str
    name: str
    text: str


@dataclass(frozen=True)
class Placed:
    """A crystal: phase, beam direction, centre (y, x) and radius in nm, rotation in degrees, amplitude."""

    phase: str
    axis: tuple[int, int, int]
    centre: tuple[float, float]
    radius: float
    turn: float
    amplitude: float = 0.05


@dataclass(frozen=True)
class Scene:
    """An image: its crystals, dose in electrons / nm^2, and the position of the film's edge (x, nm)."""

    crystals: tuple[Placed, ...]
    dose: float = 80_000.0
    edge: float = 99.0


SCENES = (
    Scene(
        (Placed("Cu", (0, 1, 1), (4.6, 4.6), 3.6, 17.0), Placed("Li2O", (0, 1, 1), (10.6, 10.4), 3.8, 48.0))
    ),
    Scene((Placed("LiF", (0, 1, 1), (7.6, 8.6), 3.6, 25.0),), edge=9.5),
    Scene(
        (
            Placed("Cu", (0, 0, 1), (4.8, 10.4), 4.0, 8.0, 0.06),
            Placed("Li2CO3", (1, 0, 0), (10.8, 5.0), 3.6, 72.0, 0.065),
        ),
        dose=8_000.0,
    ),
    Scene((Placed("Au", (0, 1, 1), (7.7, 4.2), 3.7, 12.0), Placed("Au", (0, 1, 1), (7.7, 11.0), 3.7, 82.5))),
    Scene(
        (
            Placed("Si", (0, 1, 1), (5.0, 10.6), 4.0, 64.0),
            Placed("LiF", (0, 0, 1), (10.6, 5.0), 3.2, 33.0, 0.03),
        )
    ),
    Scene((Placed("Cu", (0, 1, 1), (7.7, 7.7), 16.0, 40.0),)),
    Scene(
        (
            Placed("Ni", (0, 1, 1), (4.5, 5.0), 3.0, 21.0, 0.03),
            Placed("MgO", (0, 0, 1), (10.8, 10.4), 3.0, 55.0, 0.03),
        ),
        dose=16_000.0,
    ),
    Scene(()),
)


def constants() -> list[Constant]:
    """All tuned constants of core, in the order of its modules."""
    found = []
    for path in sorted(CORE.rglob("*.py")):
        module = path.relative_to(CORE).with_suffix("").as_posix()
        namespace: dict[str, Any] = {}
        for name, value in assigned(ast.parse(path.read_text(encoding="utf-8"))):
            if not name.isupper() or name.startswith("_"):
                continue
            if not namespace:
                namespace = vars(importlib.import_module(f"{PACKAGE}.core.{module.replace('/', '.')}"))
            if _is_numeric(namespace[name]):
                found.append(Constant(module, name, ast.unparse(value)))
    return found


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names assigned by a module and their values; for ``a, b = 1, 2`` each of them."""
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):  # type: ignore[attr-defined]
            for one, value in zip(target.elts, node.value.elts, strict=True):  # type: ignore[attr-defined]
                yield ast.unparse(one), value
        elif isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
            yield target.id, node.value  # type: ignore[attr-defined]


def _is_numeric(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(_is_numeric(one) for one in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fi"
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def scaled(value: Any, factor: float) -> Any:
    """A constant times a factor; integers remain integers of at least 1."""
    if isinstance(value, tuple):
        return tuple(scaled(one, factor) for one in value)
    if isinstance(value, int):
        return max(1, round(value * factor)) if value > 0 else round(value * factor)
    return value * factor


class _Scaling(ast.NodeTransformer):
    """Wraps one expression in a call of `scaled`."""

    def __init__(self, wanted: ast.expr, factor: float) -> None:
        self.wanted, self.factor = wanted, factor

    def visit(self, node: ast.AST) -> Any:
        if node is not self.wanted:
            return self.generic_visit(node)
        name = ast.Name("__scaled__", ast.Load())
        return ast.Call(name, [self.wanted, ast.Constant(self.factor)], [])


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads a module with one constant multiplied by a factor."""

    constant: Constant
    factor: float

    def get_code(self, fullname: str) -> Any:
        tree = ast.parse(Path(self.path).read_text(encoding="utf-8"))
        wanted = next(value for name, value in assigned(tree) if name == self.constant.name)
        tree = _Scaling(wanted, self.factor).visit(tree)
        return compile(ast.fix_missing_locations(tree), self.path, "exec")

    def exec_module(self, module: Any) -> None:
        module.__dict__["__scaled__"] = scaled
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Replaces one module's loader by `_Changed`."""

    def __init__(self, constant: Constant, factor: float) -> None:
        self.name = f"{PACKAGE}.core.{constant.module.replace('/', '.')}"
        self.constant, self.factor = constant, factor

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        assert spec is not None and spec.origin is not None
        loader = _Changed(fullname, spec.origin)
        loader.constant, loader.factor = self.constant, self.factor
        return importlib.util.spec_from_file_location(
            fullname, spec.origin, loader=loader, submodule_search_locations=spec.submodule_search_locations
        )


def picture(
    scene: Scene, table: dict[str, Any], seed: int
) -> tuple[np.ndarray, list[dict[str, Any]], np.ndarray]:
    """Counts of a scene, ground truth of its crystals (polygon, g, strength), and mask of the film."""
    from scipy import ndimage

    from forward_model import Crystal, Optics, amorphous, camera, crystal_potential, image_of, zone
    from make_sample import FILM, FILM_MEAN, facets

    size, wide = (PIXEL, PIXEL), (SIDE + 2 * MARGIN,) * 2
    x = (np.arange(wide[1]) - MARGIN) * PIXEL
    film = np.broadcast_to(x < scene.edge, wide)
    soft = ndimage.gaussian_filter(film.astype(float), 0.2 / PIXEL)
    total = soft * (FILM_MEAN + FILM * amorphous(wide, size, seed))
    truth = []
    for number, one in enumerate(scene.crystals):
        _, g, relative = zone(table[one.phase], one.axis, one.turn)
        polygon = facets(g, one.centre, one.radius, seed + number)
        shift = np.random.default_rng(seed + 50 + number).uniform(0, 2 * np.pi, len(g))
        placed = Crystal(polygon + MARGIN * PIXEL, g, one.amplitude * relative, shift)
        total += crystal_potential(wide, size, placed)
        truth.append({"phase": one.phase, "polygon": polygon, "g": g, "strength": relative / relative.max()})
    ideal = image_of(total, size, Optics(defocus=40.0)) * (1 - 0.07 * soft)
    cut = slice(MARGIN, -MARGIN)
    return camera(ideal[cut, cut], size, scene.dose, seed + 99), truth, film[cut, cut]


def inside(polygon: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Which positions are inside a convex polygon whose corners are in order."""
    following = np.roll(polygon, -1, axis=0)
    sides = [
        (b[0] - a[0]) * (x - a[1]) - (b[1] - a[1]) * (y - a[0])
        for a, b in zip(polygon, following, strict=True)
    ]
    return np.all(np.array(sides) >= 0, axis=0) | np.all(np.array(sides) <= 0, axis=0)


def measure_images(
    images: list[tuple[np.ndarray, list[dict[str, Any]], np.ndarray]], entries: list[Any]
) -> dict[str, float]:
    """Analyse the images with core as it is imported now."""
    from napari_tem_fft.core.image.calibration import Calibration
    from napari_tem_fft.core.image.micrograph import Micrograph
    from napari_tem_fft.core.pipeline import AnalysisParams, analysis_steps
    from napari_tem_fft.core.progress import exhaust
    from napari_tem_fft.io.phases.table import phase_from_entry

    phases = tuple(phase_from_entry(entry) for entry in entries)
    wanted = found = answers = right = grains = named = wrong = 0
    errors: list[float] = []
    overlaps: list[float] = []
    films: list[float] = []
    beliefs: list[float] = []
    for number, (pixels, truth, film) in enumerate(images):
        scale = Calibration.real((PIXEL, PIXEL)).with_uncertainty((0.005, 0.02)[number % 2])
        image = Micrograph(pixels, scale, f"image {number}")
        result = exhaust(analysis_steps(image, phases, AnalysisParams()))
        g = np.array([spot.g for spot in result.spots if spot.enabled], float).reshape(-1, 2)
        points = np.concatenate([np.zeros((0, 2)), *(one["g"] for one in truth)])
        strong = np.concatenate([np.zeros(0, bool), *(one["strength"] >= 0.2 for one in truth)])
        near, error = _near(g, points)
        right += int(near.any(axis=1).sum())
        answers += len(g)
        wanted += int(strong.sum())
        found += int((near.any(axis=0) & strong).sum())
        errors += [100 * abs(error[i][near[i]]).min() for i in np.flatnonzero(near.any(axis=1))]
        y, x = result.map_grid.positions()
        there = []
        for region in result.grain_regions:
            there.append(np.zeros(result.specimen.shape, bool))
            there[-1][region.box] = region.mask
        for one in truth:
            true = inside(one["polygon"], y, x)
            overlaps.append(max(((true & m).sum() / (true | m).sum() for m in there), default=0.0))
        rows, columns = (np.clip((v / PIXEL).astype(int), 0, SIDE - 1) for v in (y, x))
        films.append(float((film[rows, columns] == result.specimen).mean()))
        grains += len(result.grains)
        names = [m.phases[0] for m in result.matches if len(m.phases) == 1]
        true_names = [one["phase"] for one in truth]
        for name in true_names:
            said = (c.posterior for m in result.matches for c in m.candidates if c.phase == name)
            beliefs.append(max(said, default=0.0))
        named += sum(min(names.count(name), true_names.count(name)) for name in set(true_names))
        wrong += sum(name not in true_names for name in names)
    precision, recall = right / max(answers, 1), found / max(wanted, 1)
    return {
        "F1": 2 * precision * recall / max(precision + recall, 1e-9),
        "d": float(np.median(errors)) if errors else 9.0,
        "area": float(np.mean(overlaps)),
        "grains": grains,
        "right": named,
        "wrong": wrong,
        "belief": float(np.mean(beliefs)),
        "film": float(np.mean(films)),
    }


def _near(g: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which spots are at which points, shape (n, m), and the relative errors of d."""
    length, along = np.hypot(*g.T)[:, None], np.hypot(*points.T)
    cosine = np.clip(np.abs(g @ points.T) / np.maximum(length * along, 1e-9), 0, 1)
    error = along / np.maximum(length, 1e-9) - 1
    return (np.abs(error) < 0.015) & (np.degrees(np.arccos(cosine)) < 1.5), error


def measure_patterns() -> dict[str, float]:
    """Measure stored patterns of spots, of rings and of nothing; "area" is the accuracy of the centre."""
    from forward_model import frequency
    from napari_tem_fft.core.saed.measure import measure_pattern
    from pattern_model import diffuse, recorded, rings, spots

    gold, shape, centre, step = (
        (0.23548, 0.20393, 0.14420, 0.12298),
        (420, 420),
        (204.3, 221.8),
        (0.034, 0.034),
    )
    lines = [(d, a, 300.0) for d, a in zip(gold * 2, (10, 40, 70, 100, 115, 130, 150, 170), strict=True)]
    light = diffuse(shape, centre, step)
    shadow = (light + rings(shape, centre, step, [(d, 40.0) for d in gold], 0.05)).copy()
    shadow[195:214, :234] = 4.0
    found = answers = right = 0
    errors, away = [], []
    one = measure_pattern(recorded(light + spots(shape, centre, step, lines, 1.8, True), step, 3))
    g = np.array([spot.g for spot in one.spots]).reshape(-1, 2)
    near, error = _near(g, np.array([frequency(d, a) for d, a, _ in lines]))
    right, answers, found = int(near.any(axis=1).sum()), len(g), int(near.any(axis=0).sum())
    errors += [100 * abs(error[i][near[i]]).min() for i in np.flatnonzero(near.any(axis=1))]
    two = measure_pattern(recorded(shadow, step, 4))
    peaks = np.array([peak.d for peak in two.profile.peaks]) if two.profile.peaks else np.zeros(0)
    offs = np.abs(peaks[:, None] / np.array(gold) - 1)
    right, found = right + int((offs < 0.02).any(axis=1).sum()), found + int((offs < 0.02).any(axis=0).sum())
    answers += len(peaks) + len(two.spots)
    errors += [100 * float(row.min()) for row in offs if row.min() < 0.02]
    away = [float(np.hypot(*(np.array(p.centre.position) - centre))) for p in (one, two)]
    three = measure_pattern(recorded(light, step, 5))
    wrong = len(three.spots) + len(three.profile.peaks)
    precision, recall = right / max(answers, 1), found / (len(lines) + len(gold))
    return {
        "F1": 2 * precision * recall / max(precision + recall, 1e-9),
        "d": float(np.median(errors)) if errors else 9.0,
        "area": float(np.mean([1 / (1 + off) for off in away])),
        "grains": answers,
        "right": found,
        "wrong": wrong,
        "belief": 1.0,
        "film": 1.0,
    }


def in_a_process(constant: Constant | None, factor: float, images: Any, entries: Any, saed: bool) -> Any:
    """Results with a changed constant, or a sentence with the reason of the failure."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        for name in [
            n for n in sys.modules if n.split(".")[0] in (PACKAGE, "forward_model", "pattern_model")
        ]:
            del sys.modules[name]
        if constant is not None:
            sys.meta_path.insert(0, _Finder(constant, factor))
        try:
            calls: set[CodeType] = set()
            if constant is None:
                sys.setprofile(lambda frame, event, _: calls.add(frame.f_code) if event == "call" else None)
            answer: Any = measure_patterns() if saed else measure_images(images, entries)
            sys.setprofile(None)
            if constant is None:
                answer["read"] = sorted({name for code in calls for name in code.co_names if name.isupper()})
        except Exception as error:  # whatever a constant breaks is a result
            answer = f"{type(error).__name__}: {str(error)[:80]}"
        with os.fdopen(writing, "w") as out:
            json.dump(answer, out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        text = answers.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else "took too long, or the process died"


def movement(before: dict[str, float], after: Any) -> float:
    """Total change of all measures; failures come first."""
    if isinstance(after, str):
        return 9.0
    counts = max(before["grains"], 1)
    moved = sum(abs(after[k] - before[k]) for k in ("F1", "area", "belief", "film"))
    moved += sum(abs(after[k] - before[k]) / counts for k in ("grains", "right", "wrong"))
    return float(moved + 0.25 * min(1.0, abs(after["d"] / before["d"] - 1)))


def read_on_import() -> set[str]:
    """Names of constants used by other module-level statements, default arguments and fields."""

    class Names(ast.NodeVisitor):
        def __init__(self) -> None:
            self.found: set[str] = set()

        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            self.visit(node.args)

        def visit_Name(self, node: ast.Name) -> None:
            if node.id.isupper() and isinstance(node.ctx, ast.Load):
                self.found.add(node.id)

    names = Names()
    for path in CORE.rglob("*.py"):
        names.visit(ast.parse(path.read_text(encoding="utf-8")))
    return names.found


def rows(wanted: list[Constant], images: Any, entries: Any) -> Iterator[dict[str, Any]]:
    """One record per change."""
    before = {saed: in_a_process(None, 1.0, images, entries, saed) for saed in (False, True)}
    read = {saed: set(before[saed].pop("read")) | read_on_import() for saed in before}
    for saed, name in ((False, "images"), (True, "patterns")):
        print(f"as it is, {name}: {words(before[saed])}", flush=True)
    for constant in wanted:
        saed = constant.module.startswith("saed/")
        if constant.name not in read[saed]:
            continue
        for factor in (0.5, 2.0):
            after = in_a_process(constant, factor, images, entries, saed)
            moves = movement(before[saed], after)
            yield {"module": constant.module, "name": constant.name, "value": constant.text} | {
                "factor": factor,
                "moves": moves,
                "after": after,
            }


def words(measured: Any) -> str:
    """The measures as one line."""
    if isinstance(measured, str):
        return measured
    text = "F1 {F1:.3f}, d {d:.3f} %, area {area:.3f}, grains {grains}, right {right}, wrong {wrong}"
    return (text + ", belief {belief:.3f}, film {film:.3f}").format(**measured)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="modules whose names begin like one of these")
    parser.add_argument("--most", type=int, default=30)
    parser.add_argument(
        "--json",
        type=Path,
        help="a line a change, written as they come; changes that are in it already are not made again",
    )
    args = parser.parse_args()
    found: list[dict[str, Any]] = []
    if args.json and args.json.is_file():
        found = [json.loads(line) for line in args.json.read_text(encoding="utf-8").splitlines()]
    done = {(row["module"], row["name"]) for row in found}
    chosen = [
        one
        for prefix in args.only.split(",")
        for one in constants()
        if one.module.startswith(prefix) and (one.module, one.name) not in done
    ]
    wanted = list(dict.fromkeys(chosen))
    from napari_tem_fft.io.phases.table import phase_from_entry

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (CORE.parent / "data" / "phases.yaml").read_text(encoding="utf-8")
    entries = [entry for entry in yaml.load(text, Loader=loader) if entry["id"] in PHASES]
    table = {str(entry["id"]): phase_from_entry(entry) for entry in entries}
    images = [picture(scene, table, 500 + 7 * number) for number, scene in enumerate(SCENES)]
    print(f"{len(wanted)} constants, each halved and doubled; {len(entries)} phases", flush=True)
    for row in rows(wanted, images, entries):
        found.append(row)
        if args.json:
            with args.json.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
    seen: set[tuple[str, str]] = set()
    for row in sorted(found, key=lambda one: -one["moves"]):
        key = row["module"], row["name"]
        seen.add(key)
        if len(seen) > args.most:
            break
        text = row["value"] if len(row["value"]) < 30 else row["value"][:27] + "..."
        name = f"{row['module']}.{row['name']} = {text}, x {row['factor']}"
        print(f"{row['moves']:5.2f}  {name}: {words(row['after'])}")
    print(f"{sum(row['moves'] == 0 for row in found)} of {len(found)} changes move nothing")


if __name__ == "__main__":
    main()
