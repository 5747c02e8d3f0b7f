"""Every command and every block of code in README and docs does what it says, or is at least understood.

Commands that end within a minute run, with small files of the names that they use; those that take longer
(training, a cluster, a microscope that writes) go through the real parser.
"""

import glob
import os
import shlex
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fenced_blocks import Block, blocks, commands, furnish
from napari_tem_fft.cli.library import library_parser
from napari_tem_fft.cli.main import main
from napari_tem_fft.cli.options import build_parser
from small_run import SameProcess

ROOT = Path(__file__).parents[2]
PAGES = [
    name for name in ("README.md", "CONTRIBUTING.md", "models/spots/MODEL_CARD.md") if (ROOT / name).is_file()
] + sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
#: Commands that take long, or wait for somebody.
LONG = ("train", "evaluate", "watch")
#: What a page needs besides; without it the page is skipped (extra `exchange`, see .ci/check_install.py).
NEEDS = {"docs/exchange.md": ("orix", "hyperspy", "pyarrow")}
#: What other programs do: installing, testing, building; their files must be there.
OTHERS = (
    "python3 -m venv",
    ".venv/bin/pip install",
    "pip install",
    ".venv/bin/pytest",
    ".venv/bin/mkdocs build",
)

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="not in a checkout: there are no docs")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    furnish(folder)
    return folder


@pytest.fixture
def here(files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the documentation's files; what a page writes is taken away after it."""
    before = set(files.rglob("*"))
    monkeypatch.chdir(files)
    # the user's library of phases
    monkeypatch.setattr("napari_tem_fft.io.phases.library.library_path", lambda: files / "library.sqlite")
    monkeypatch.setattr("napari_tem_fft.cli.calibrate.profiles_folder", lambda: files / "profiles")
    monkeypatch.setattr("napari_tem_fft.batch.backends.LocalWorkers", lambda job, _: SameProcess(job))
    yield files
    for path in sorted(set(files.rglob("*")) - before, reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_works(page: str, here: Path) -> None:
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package)
    for block in blocks((ROOT / page).read_text(encoding="utf-8")):
        where = f"{page}:{block.line}"
        match block.language:
            case "sh":
                for command in commands(block):
                    run_command(command, where)
            case "python":
                run_python(block, where)
            case "yaml":
                run_yaml(block, where)
            case "csv":
                (here / "cifs" / "mine.csv").write_text(block.text)
            case "" | "text":
                continue  # what a command printed
            case other:
                pytest.fail(f"{where}: nobody tests blocks of {other}")


def run_command(command: str, where: str) -> None:
    words = shlex.split(command)
    program = Path(words[0]).name
    if program == "napari-tem-fft":
        arguments = [found for word in words[1:] for found in expanded(word, command)]
        check_program(arguments, f"{where}: {command}")
    elif program == "python":
        assert (ROOT / words[1]).is_file(), f"{where}: there is no {words[1]}"
    elif program in ("test", "run"):
        assert os.access(ROOT / words[0], os.X_OK), f"{where}: {words[0]} cannot be run"
    else:
        assert command.startswith(OTHERS), f"{where}: nobody tests {command!r}"


def check_program(arguments: list[str], where: str) -> None:
    """Run a command of the program, or only parse it where that would take long."""
    cluster = any(word.startswith("tcp:") for word in arguments)
    if arguments[0] in LONG or cluster:
        build_parser().parse_args(arguments)
        return
    if arguments[:2] == ["phases", "fetch"]:  # asks the network
        library_parser().parse_args(arguments[1:])
        return
    assert main(arguments) == 0, where


def expanded(word: str, command: str) -> list[str]:
    """A word as the shell hands it over: patterns that are not quoted become names."""
    if glob.has_magic(word) and f"'{word}'" not in command and f'"{word}"' not in command:
        # gold, silicon and the patterns are other files of the examples
        return [name for name in glob.glob(word) if name == "anode.dm4"]
    return [word]


def run_python(block: Block, where: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        given = pretend_cluster(patch) if "dask_jobqueue" in block.text else []
        exec(compile(block.text, where, "exec"), {"__name__": "__main__"})
        for command in given:
            check_program(command[1:], where)


def pretend_cluster(patch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stand in for dask-jobqueue; returns the list of commands that will be run on it."""
    given: list[list[str]] = []

    class SLURMCluster:
        scheduler_address = "tcp://10.0.0.1:8786"

        def __init__(self, **options: object) -> None:
            assert options["processes"] == options["cores"]

        def scale(self, jobs: int) -> None: ...
        def close(self) -> None: ...

    module = types.ModuleType("dask_jobqueue")
    module.SLURMCluster = SLURMCluster  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "dask_jobqueue", module)
    patch.setattr("subprocess.run", lambda command, check: given.append(command))
    return given


def run_yaml(block: Block, where: str) -> None:
    content = yaml.safe_load(block.text)
    containers = content["spec"]["worker"]["spec"]["containers"]
    assert "--nthreads" in containers[0]["args"], where


def test_blocks_are_found_and_cut_into_commands() -> None:
    text = "a\n```sh\none --x 'a b'   # why\n# nothing\ntwo && three\n```\n\n```python\nx = 1\n```\n"
    found = blocks(text)
    assert [(block.language, block.line) for block in found] == [("sh", 3), ("python", 9)]
    assert commands(found[0]) == ["one --x 'a b'", "two", "three"]


def test_an_unknown_command_is_not_passed_over() -> None:
    with pytest.raises(AssertionError, match="nobody tests"):
        run_command("rm -r everything", "here")
    with pytest.raises(SystemExit):
        check_program(["train", "--no-such-option"], "here")
