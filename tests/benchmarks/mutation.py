"""Mutation test of core: is a changed line noticed by a test?

    python tests/benchmarks/mutation.py [--mutants 400] [--seed 0] [--only mask,matching/rings,...]

cosmic-ray (the extra ``mutation``; Linux or macOS) lists all positions in ``core`` at which an operator, a
number, a comparison or a loop can be changed. A sample of them is drawn, for each module in proportion to its
lines. One change at a time is made in a copy of the sources, and tested with those files of ``tests/core``
that run the changed line, according to coverage: first the module's own, then the fastest, up to ``--limit``
seconds of tests. A test that fails, or takes many times longer, has noticed the change. A module's sample
depends on the seed, its number and the module's text.

It prints each survivor as a difference, and a table with mutants, noticed ones and survivors of each module.
``--record JSON`` stores the survivors, and ``--again JSON`` tests these again after tests were added. 400
mutants take about half an hour of processor time.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mutants import CORE, HOUSE, Mutant, again, drawn, inner_lines, modules, mutated, shares

#: A mutant may take so many times longer than the tests without it, and so many seconds more.
SLOWER, PATIENCE = 4.0, 20.0
#: Loaded once for all processes.
LIBRARIES = (
    "pytest", "hypothesis", "numpy", "scipy.fft", "scipy.interpolate", "scipy.ndimage", "scipy.optimize",
    "scipy.signal", "scipy.spatial", "scipy.special", "scipy.stats", "skimage.feature", "skimage.graph",
    "skimage.io", "skimage.measure", "skimage.morphology", "skimage.segmentation", "skimage.transform",
    "gemmi", "h5py", "matplotlib.figure", "rsciio", "tifffile", "yaml",
)  # fmt: skip


@dataclass(frozen=True)
class Judge:
    """A test file with the lines of each module that it runs, and its duration, s."""

    name: str
    lines: Mapping[str, frozenset[int]]
    seconds: float


def pytest_here(names: Sequence[str], sources: Path) -> int:
    """Run test files in this process, with the given copy of the sources."""
    import pytest

    sys.path.insert(0, str(sources))
    os.chdir(HOUSE)
    options = ["-x", "-q", "-p", "pytest_timeout", "-p", "no:cacheprovider"]
    return int(pytest.main([*options, *(f"tests/core/{name}" for name in names)]))


def measure(name: str, sources: Path, answer: Path) -> int:
    """Run a test file, and write the lines of core that it runs."""
    import coverage

    core = sources / CORE.relative_to("src")
    watch = coverage.Coverage(data_file=None, include=[f"{core}/*"])
    start = time.process_time()
    watch.start()
    status = pytest_here([name], sources)
    watch.stop()
    data = watch.get_data()
    lines = {module: sorted(data.lines(str(core / f"{module}.py")) or ()) for module in modules()}
    answer.write_text(json.dumps({"lines": lines, "seconds": time.process_time() - start}))
    return status


class Children:
    """A number of forked processes, each with its own time limit."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.running: dict[int, tuple[float, Callable[[int], None]]] = {}

    def start(self, work: Callable[[], int], patience: float, ended: Callable[[int], None]) -> None:
        """Run `work` in a separate process, and call `ended` with its exit status: 0 if the tests pass."""
        while len(self.running) >= self.workers:
            self.wait()
        sys.stdout.flush()
        child = os.fork()
        if not child:
            self._in_child(work)
        self.running[child] = time.monotonic() + patience, ended

    @staticmethod
    def _in_child(work: Callable[[], int]) -> None:
        status = 70
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            status = work()
        finally:
            os._exit(status)

    def wait(self) -> None:
        """Process those that have ended, and terminate those that take too long."""
        time.sleep(0.02)
        for child, (limit, ended) in list(self.running.items()):
            over, status = os.waitpid(child, os.WNOHANG)
            if not over and time.monotonic() > limit:
                with suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
                over, status = os.waitpid(child, 0)
            if over:
                del self.running[child]
                ended(status)

    def finish(self) -> None:
        while self.running:
            self.wait()


def judges(children: Children, sources: Path, folder: Path) -> list[Judge]:
    """All test files of core with the lines that they run."""
    tests = HOUSE / "tests" / "core"
    names = sorted(path.relative_to(tests).as_posix() for path in tests.rglob("test_*.py"))
    failed = []

    def told(name: str) -> Callable[[int], None]:
        return lambda status: failed.append(name) if status else None

    for name in names:
        answer = folder / f"{name}.json"
        answer.parent.mkdir(parents=True, exist_ok=True)
        children.start(lambda name=name, answer=answer: measure(name, sources, answer), 600, told(name))
    children.finish()
    if failed:
        raise SystemExit(f"these fail as they are: {', '.join(failed)}")
    found: dict[str, Any] = {name: json.loads((folder / f"{name}.json").read_text()) for name in names}
    return [
        Judge(name, {module: frozenset(lines) for module, lines in one["lines"].items()}, one["seconds"])
        for name, one in found.items()
    ]


def concerned(mutant: Mutant, all_judges: Sequence[Judge], limit: float) -> list[Judge]:
    """The test files that run the changed line; if the import runs it, those that run most of the module."""
    folder, _, name = mutant.module.rpartition("/")
    inner, own = inner_lines(mutant.module), f"{folder}/test_{name}.py".lstrip("/")
    ran = {judge.name: judge.lines[mutant.module] for judge in all_judges}
    if mutant.line in inner:
        kept = [judge for judge in all_judges if mutant.line in ran[judge.name]]
    else:
        most = max(len(lines & inner) for lines in ran.values())
        enough = {name for name, lines in ran.items() if 0 < most <= 2 * len(lines & inner)} | {own}
        kept = [judge for judge in all_judges if judge.name in enough]
    kept.sort(key=lambda judge: (judge.name != own, judge.seconds))
    total = 0.0
    for number, judge in enumerate(kept):
        total += judge.seconds
        if number and total > limit:
            return kept[:number]
    return kept


def test_mutant(mutant: Mutant, names: Sequence[str], sources: Path) -> int:
    """Run tests with a copy of the sources that contains the change."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(sources, Path(folder) / "src", copy_function=os.link))
        path = copy / CORE.relative_to("src") / f"{mutant.module}.py"
        code = path.read_text()
        path.unlink()  # a link to the original
        path.write_text(mutated(code, mutant.operator, mutant.occurrence))
        return pytest_here(names, copy)


def check(mutants: Sequence[Mutant], workers: int, limit: float) -> list[Mutant]:
    """The survivors; each is printed when it is found."""
    children, survivors = Children(workers), list[Mutant]()
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(shutil.copytree(HOUSE / "src", Path(folder).resolve() / "src"))
        all_judges = judges(children, sources, Path(folder))
        for mutant in mutants:
            chosen = concerned(mutant, all_judges, limit)
            names = [judge.name for judge in chosen]

            def ended(status: int, mutant: Mutant = mutant, names: Sequence[str] = names) -> None:
                if status == 0:
                    survivors.append(mutant)
                    by = " ".join(names) or "no test runs it"
                    print(f"core/{mutant.module}.py ({by})\n{mutant.difference}\n", flush=True)

            if not names:
                ended(0)
                continue
            patience = SLOWER * sum(judge.seconds for judge in chosen) + PATIENCE
            children.start(
                lambda mutant=mutant, names=names: test_mutant(mutant, names, sources), patience, ended
            )
        children.finish()
    return survivors


def table(mutants: Sequence[Mutant], survivors: Sequence[Mutant]) -> str:
    """Fraction noticed, by module and in total."""
    rows = ["| module | mutants | noticed | survivors |", "|---|---|---|---|"]
    for name in dict.fromkeys(mutant.module for mutant in mutants):
        number = sum(mutant.module == name for mutant in mutants)
        left = sum(mutant.module == name for mutant in survivors)
        rows.append(f"| {name} | {number} | {number - left} | {left} |")
    number, left = len(mutants), len(survivors)
    share = 100 * (number - left) / max(number, 1)
    return "\n".join((*rows, f"| all | {number} | {number - left} ({share:.1f} %) | {left} |"))


def load_libraries() -> None:
    """Import the libraries that all tests need, once for all forks; each fork imports the sources itself."""
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)
    from hypothesis import settings

    settings.register_profile("mutation", deadline=None, derandomize=True)  # a busy machine is no failure
    settings.load_profile("mutation")
    sys.path[:] = [path for path in sys.path if Path(path) != Path(__file__).parent]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="modules of core, separated by commas")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds of tests for a mutant")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--record", type=Path, help="JSON file for the survivors")
    parser.add_argument(
        "--again", type=Path, help="judge the survivors of such a file, where they still apply"
    )
    args = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        import cosmic_ray  # noqa: F401
        import coverage  # noqa: F401
    except ImportError:
        print('skipped: needs the extra "mutation" (pip install -e ".[test,mutation]")')
        return 0
    load_libraries()
    names = [name for name in args.only.split(",") if name] or modules()
    wanted = shares(names, args.mutants)
    if args.again:
        recorded = [again(Mutant(**entry)) for entry in json.loads(args.again.read_text())]
        mutants = [one for one in recorded if one is not None]
    else:
        mutants = [one for name in names for one in drawn(name, wanted[name], args.seed)]
    survivors = check(mutants, args.workers, args.limit)
    print(table(mutants, survivors))
    if args.record:
        args.record.write_text(json.dumps([asdict(mutant) for mutant in survivors], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
