"""A large phase library: time of import and search, and correctness of the names.

    python tests/benchmarks/library_bench.py import CIFS LIBRARY
    python tests/benchmarks/library_bench.py grains LIBRARY --grains 300
    python tests/benchmarks/library_bench.py scaled LIBRARY --phases 100000

`import` prints files, seconds, processor time and size on disk. `grains` draws phases of the library that are
not in the bundled table, simulates a grain of each (one zone axis, 4 to 12 spots, d and angles with noise, an
image scale that is off by 0.5 %) and prints, with the phase's elements stated and without: how often the set
contains the truth, how often a single phase is named, how often wrongly, and the mean size of the sets.
`scaled` multiplies the cells of the library and prints the time and memory of a search. An entry of the same
phase (see `reference_entries`), and the same phase with another cell, count as the truth. `--without` removes
the grain's phase from the library: all names are then wrong, and two of three are of related phases.
"""

import argparse
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.crystal.phase_library import Identities, PhaseLibrary
from napari_tem_fft.core.crystal.phase_selection import ElementRule, select_phases
from napari_tem_fft.core.grains.grain import Grain, GrainSet
from napari_tem_fft.core.grains.plane_cell import plane_cells
from napari_tem_fft.core.matching import EvidenceCache, MatchParams, Outcome
from napari_tem_fft.core.matching.assignment import PhaseAssignments, assign_phases
from napari_tem_fft.core.matching.library_candidates import select_entries
from napari_tem_fft.core.matching.zone_patterns import zone_patterns
from napari_tem_fft.core.profile.radial_profile import RadialProfile
from napari_tem_fft.core.spots.spot import Spot
from napari_tem_fft.io.phases.index_cache import prepared_choice
from napari_tem_fft.io.phases.library import PhaseDatabase, open_library
from napari_tem_fft.io.phases.library_import import library_rows
from napari_tem_fft.io.phases.table import load_table

#: Standard deviations of the image's scale, of its stretch, and of a spot's place (relative).
SCALE, STRETCH, PLACE = 0.005, 0.003, 0.003

SHARES = ("truth among ten", "single", "right single", "wrong single", "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="what", required=True)
    one = commands.add_parser("import")
    one.add_argument("cifs", type=Path)
    one.add_argument("library", type=Path)
    one.add_argument("--workers", type=int, default=2)
    one = commands.add_parser("grains")
    one.add_argument("library", type=Path)
    one.add_argument("--grains", type=int, default=300)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--stated", action="store_true", help="with elements stated only")
    one.add_argument("--without", action="store_true", help="the library lacks the grain's phase")
    one = commands.add_parser("scaled")
    one.add_argument("library", type=Path)
    one.add_argument("--phases", type=int, default=100_000)
    args = parser.parse_args()
    {"import": bench_import, "grains": bench_grains, "scaled": bench_scaled}[args.what](args)


def bench_import(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    report = PhaseDatabase(args.library).write(library_rows([args.cifs], args.workers))
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    processor = sum(use.ru_utime + use.ru_stime for use in (own, children))
    size = args.library.stat().st_size / 1e6
    print(f"{report.files} files, {report.added} added, {report.known} known, {len(report.refused)} refused")
    print(f"{time.perf_counter() - start:.1f} s, {processor:.1f} s of processor, {size:.1f} MB")


def simulated_grain(
    library: PhaseLibrary, entry: int, rng: np.random.Generator
) -> tuple[Grain, list[Spot]] | None:
    """A grain of an entry along one zone axis, with spots observed by chance as the matcher expects."""
    (phase,) = library.load([entry], [None])
    patterns = zone_patterns(phase.reflections)
    if not patterns:
        return None
    rich = np.array([p.visibility.sum() for p in patterns])
    weight = np.array([p.multiplicity for p in patterns]) * rich**2 / (1 + rich**2)
    pattern = patterns[rng.choice(len(patterns), p=weight / weight.sum())]
    seen = pattern.visibility * np.exp(rng.normal(0, 0.5, len(pattern.visibility)))
    chosen = np.argsort(-seen)[: rng.integers(4, 13)]
    angle, scale, (e, f) = rng.uniform(0, 2 * np.pi), rng.normal(0, SCALE), rng.normal(0, STRETCH, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    bent = np.array([[1 + scale + e, f], [f, 1 + scale - e]])
    g = (pattern.position[chosen] @ pattern.basis) @ turn @ bent
    sigma = PLACE * np.linalg.norm(g, axis=1)
    g = g + rng.normal(0, 1, g.shape) * sigma[:, None]
    power = 20 + 400 * (seen[chosen] / seen[chosen].max()) ** 2
    spots = [
        Spot(n + 1, (float(y), float(x)), float(s), float(p), -50.0)
        for n, ((x, y), s, p) in enumerate(zip(g, sigma, power, strict=True))
    ]
    return Grain(1, tuple(spot.id for spot in spots), (0.0, 0.0), 80.0, 10.0), spots


def names_of(library: PhaseLibrary, entry: int, candidates: Sequence[Phase]) -> set[str]:
    """The names of an entry's phase: those of its references, and of the same phase with another cell."""
    same = {library.ids[n] for n in np.flatnonzero(library.references == library.references[entry])}
    kin = {phase.id for phase in candidates if same & phase.kin}
    return same.union(kin, *(phase.kin for phase in candidates if phase.id in same))


def bench_grains(args: argparse.Namespace) -> None:
    rng, table = np.random.default_rng(args.seed), load_table()
    searched = open_library(None, args.library)
    library = replace(PhaseDatabase(args.library).load(), anchors=searched.anchors)
    whole = prepared_choice(table, table)
    kinds = ("elements",) if args.stated or args.without else ("elements", "none")
    counts = {name: Counter[str]() for name in kinds}
    profile = RadialProfile("whole image", np.linspace(0.5, 8, 50), np.ones(50), np.ones(50), ())
    start = time.process_time()
    for entry in drawn_entries(library, args.grains, args.seed):
        made = simulated_grain(library, entry, rng)
        if made is None:
            continue
        grain, spots = made
        rule = ElementRule(optional=library.elements[entry])
        few = select_phases(table, elements=rule)
        offered = library.allowed_by(rule)
        if args.without:
            own = set(np.array(library.ids)[library.references == library.references[entry]])
            offered = offered.selected(np.array([name not in own for name in offered.ids], bool))
        stated = replace(prepared_choice(few, table, True), library=offered)
        choices = {"elements": stated, "none": replace(whole, library=searched)}
        for name in kinds:
            found = GrainSet(tuple(spots), (grain,), ())
            assigned = assign_phases(found, (profile,), choices[name], SCALE, MatchParams(), EvidenceCache())
            same = names_of(library, entry, assigned.choice.phases)
            count_match(counts[name], assigned, same, len(spots))
    for name, count in counts.items():
        n, sets, four = count["grains"], max(count["sets"], 1), max(count["of four"], 1)
        hold, size = count["sets with the truth"] / sets, count["members"] / sets
        print(f"{name}: {n} grains, {count['weighed'] / n:.0f} phases weighed of each")
        print(f"  {count['sets']} sets, {hold:.1%} of them hold the truth, mean size {size:.2f}")
        print("  " + ", ".join(f"{what} {count[what] / n:.1%}" for what in SHARES))
        print(
            f"  of {four} with four spots or more: named alone {count['single of four'] / four:.1%},"
            f" one phase in the answer {count['one of four'] / four:.1%}"
        )
    print(f"{time.process_time() - start:.0f} s of processor")


def drawn_entries(library: PhaseLibrary, number: int, seed: int) -> list[int]:
    """Entries of phases that are not in the table; the same whatever counts as one phase."""
    drawn, known = list[int](), set[int]()
    for entry in np.random.default_rng(seed).permutation(len(library)).tolist():
        reference = int(library.references[entry])
        if reference < len(library) and reference not in known and len(drawn) < number:
            known.add(reference)
            drawn.append(entry)
    return drawn


def count_match(count: Counter[str], assigned: PhaseAssignments, same: set[str], spots: int) -> None:
    """Add the result for a grain to the counts."""
    match, searched = assigned.matches[0], assigned.choice.searched
    right = bool(set(match.phases) & same)
    single = match.outcome in (Outcome.IDENTIFIED, Outcome.LIKELY)
    count["grains"] += 1
    count["unknown"] += not match.outcome.names_phases
    count["single"] += single
    count["right single"] += single and right
    count["wrong single"] += single and not right
    count["of four"] += spots >= 4
    count["single of four"] += single and spots >= 4
    count["one of four"] += spots >= 4 and match.outcome.names_phases and len(match.phases) == 1
    count["sets"] += match.outcome.names_phases
    count["sets with the truth"] += match.outcome.names_phases and right
    count["members"] += len(match.phases)
    count["weighed"] += searched.weighed if searched else 0
    count["truth among ten"] += bool({candidate.phase for candidate in match.candidates} & same)


def bench_scaled(args: argparse.Namespace) -> None:
    library, rng = open_library(None, args.library), np.random.default_rng(0)
    times = -(-args.phases // len(library))
    shifts = rng.normal(0, 0.08, (times, len(library))).astype(np.float32)
    shifts[0] = 0
    zones, entries = len(library.zone_entry), len(library)
    large = replace(
        library,
        ids=library.ids * times,
        elements=library.elements * times,
        identities=Identities(
            library.identities.names * times,
            library.identities.formulas * times,
            library.identities.groups * times,
            np.tile(library.identities.lines, (times, 1, 1)),
            np.concatenate([library.reduced * np.exp(-shift)[:, None] for shift in shifts]),
        ),
        cells=np.tile(library.cells, (times, 1)),
        usual=np.tile(library.usual, times),
        zone_entry=(np.tile(library.zone_entry, times) + np.repeat(np.arange(times) * entries, zones)).astype(
            np.int32
        ),
        zone_uvw=np.tile(library.zone_uvw, (times, 1)),
        zone_shape=np.concatenate(
            [library.zone_shape - shift[library.zone_entry][:, None] for shift in shifts]
        ),
        zone_share=np.tile(library.zone_share, times),
    )
    begin = time.process_time()
    large.tree, large.references  # noqa: B018
    built = time.process_time() - begin
    made = None
    while made is None:
        made = simulated_grain(library, int(rng.integers(entries)), rng)
    begin = time.process_time()
    chosen = select_entries(large, [plane_cells(*made)], MatchParams(), 0.02)
    searched = time.process_time() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{len(large)} phases, {len(large.zone_entry)} zones: ready in {built:.2f} s of processor, a grain")
    print(
        f"searched in {searched:.2f} s, {len(chosen.references)} phases to weigh; peak memory {memory:.2f} GB"
    )


if __name__ == "__main__":
    main()
