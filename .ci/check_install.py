"""Whether the package can be installed where it says it can.

    python .ci/check_install.py [platforms] [beside] [package] [recipe] [headless] [window]
    python .ci/check_install.py [pyside] [exchange] [lowest] [pythons] [pyside_whole]

platforms  every dependency has a wheel on Linux, Windows and macOS for each Python (resolved, not installed)
beside     installed beside an existing napari, no version that napari has chosen changes
package    sdist and wheel: twine's check, what has to be inside, less than 30 MB
recipe     the conda recipe is one for rattler-build, which renders it; nothing is downloaded for it
headless   without extras: neither napari nor TensorFlow comes along, the sample is analysed, 0.6 GB at most
window     with the extra `napari` 1.2 GB at most
pyside     some of the windows' tests under PySide6, on a virtual screen (this and the next two are not part
           of what runs without arguments)
exchange   in an environment with orix, HyperSpy and zarr 2, but without napari, files for other programs come
           back through these
lowest     the lowest versions that pyproject.toml allows, in an environment of their own, pass the tests of
           core, io and the Python interface (minutes)
pythons    so do the newest versions under every other supported Python that is found here (minutes each)
pyside_whole  all of the windows' tests under PySide6, for every supported Python that is found here

Needs uv, build and twine (extra `test`), and a package registry.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = (
    "x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "x86_64-pc-windows-msvc", "aarch64-apple-darwin",
    "x86_64-apple-darwin",
)  # fmt: skip
#: Of napari's versions that are tried: the oldest that is allowed, and the newest.
NAPARIS = ("napari[all]==0.9.1", "napari[all]")
LARGEST = 30 * 2**20
#: Most bytes of an environment without extras, and of one with napari.
LARGEST_BASE, LARGEST_WINDOW = 0.6e9, 1.2e9
INSIDE = (
    "napari_tem_fft/napari.yaml", "napari_tem_fft/py.typed", "napari_tem_fft/data/phases.yaml",
    "napari_tem_fft/data/sample.dm4", "napari_tem_fft/models/spots/config.json",
    "napari_tem_fft/models/spots/weights.keras", "napari_tem_fft/models/spots/MODEL_CARD.md",
)  # fmt: skip
RENDER = """
import sys
from rattler_build import Stage0Recipe, VariantConfig
(made,) = Stage0Recipe.from_file(sys.argv[1]).render(VariantConfig())
package, needs = made.recipe.package, made.recipe.requirements.run
print(package.name, package.version, len(needs), "requirements")
"""
PYSIDE_TESTS = tuple(f"tests/widgets/test_{name}.py" for name in ("closing", "panel", "run", "tools"))
TEST_TOOLS = ("pytest", "pytest-timeout", "hypothesis")
EXCHANGE_TOOLS = ("hypothesis", "nexusformat", "pytest", "pytest-timeout", "rocrate")
EXCHANGE_TESTS = ("tests/io/exchange", "tests/docs/test_blocks.py", "-k", "exchange")
WINDOW_TESTS = ("tests/widgets", "tests/layers", "tests/plugin")
HEADLESS_TESTS = ("tests/core", "tests/io", "tests/api", "tests/cli", "tests/nn/inference")


def run(*command: str | Path) -> str:
    """Standard output of a command; what it says if it fails ends the check."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def resolved(*options: str | Path, python: str = PYTHONS[0]) -> dict[str, str]:
    """Version of every package that would be installed."""
    uv = (sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate")
    lines = run(*uv, "--python-version", python, "--only-binary", ":all:", *options).splitlines()
    pins = (line.partition(";")[0].strip().partition("==") for line in lines if "==" in line)
    return {name: version for name, _, version in pins}


def platforms() -> None:
    for python in PYTHONS:
        for platform in PLATFORMS:
            extras = ("--extra", "all", "--extra", "test", "--extra", "exchange")
            found = resolved("pyproject.toml", *extras, "--python-platform", platform, python=python)
            network = "with" if "tensorflow" in found else "without"
            print(f"Python {python}, {platform}: {len(found)} packages, {network} TensorFlow")


def beside() -> None:
    for napari in NAPARIS:
        with tempfile.TemporaryDirectory() as place:
            wanted, chosen = Path(place, "napari.in"), Path(place, "napari.txt")
            wanted.write_text(napari)
            before = resolved(wanted)
            chosen.write_text("\n".join(f"{name}=={version}" for name, version in before.items()))
            after = resolved("pyproject.toml", "--extra", "batch", "--constraint", chosen)
        changed = {name for name in before if name in after and after[name] != before[name]}
        if changed:
            raise SystemExit(f"beside {napari} these would change: {', '.join(sorted(changed))}")
        print(f"beside {napari} ({before['napari']}): {len(after)} packages, no version of napari's changes")


def package() -> None:
    with tempfile.TemporaryDirectory() as place:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", place)
        built = sorted(Path(place).iterdir())
        print(run(sys.executable, "-m", "twine", "check", "--strict", *built).strip())
        for path in built:
            size = path.stat().st_size
            if size > LARGEST:
                raise SystemExit(f"{path.name} has {size / 2**20:.1f} MB, more than {LARGEST >> 20}")
            print(f"{path.name}: {size / 2**20:.1f} MB, {len(names_in(path))} files")
        wheel = next(path for path in built if path.suffix == ".whl")
        missing = set(INSIDE) - set(names_in(wheel))
        if missing:
            raise SystemExit(f"{wheel.name} lacks {', '.join(sorted(missing))}")


def names_in(path: Path) -> list[str]:
    """Files in a wheel or sdist."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return wheel.namelist()
    with tarfile.open(path) as sdist:
        return sdist.getnames()


def headless() -> None:
    with tempfile.TemporaryDirectory() as place:
        python = installed(place, ".", "pip")
        for name in ("napari", "tensorflow"):
            if subprocess.run([str(python), "-c", f"import {name}"], capture_output=True).returncode == 0:
                raise SystemExit(f"without extras {name} is installed")
        program, out = (python, "-m", "napari_tem_fft"), Path(place, "out")
        run(*program, "sample", "-o", out)
        answer = run(*program, "analyse", out / "sample.dm4", "-o", out / "results")
        if "network spots" not in answer or "Li2O       identified" not in answer:
            raise SystemExit(answer)
        check_size("without extras", place, LARGEST_BASE)


def window() -> None:
    with tempfile.TemporaryDirectory() as place:
        installed(place, ".[napari]", "pip")
        check_size("with napari", place, LARGEST_WINDOW)


def lowest() -> None:
    with tempfile.TemporaryDirectory() as place:
        python = installed(place, "--resolution", "lowest-direct", ".[batch,evaluate,train]")
        installed(place, *TEST_TOOLS)
        print(last_line(python, "-o", "filterwarnings=default", *HEADLESS_TESTS))


def pythons() -> None:
    for version in PYTHONS[1:]:
        if not is_there(version):
            continue
        with tempfile.TemporaryDirectory() as place:
            python = installed(place, ".[batch,evaluate,train]", *TEST_TOOLS, version=version)
            print(f"Python {version}: {last_line(python, *HEADLESS_TESTS)}")


def recipe() -> None:
    with tempfile.TemporaryDirectory() as place:
        print(
            run(installed(place, "py-rattler-build"), "-c", RENDER, ROOT / "recipe" / "recipe.yaml").strip()
        )


def pyside() -> None:
    test_pyside(PYTHONS[0], PYSIDE_TESTS)


def pyside_whole() -> None:
    for version in filter(is_there, PYTHONS):
        test_pyside(version, WINDOW_TESTS)


def test_pyside(version: str, tests: tuple[str, ...]) -> None:
    if not (xvfb := shutil.which("xvfb-run")):
        return print("skipped: no virtual screen (xvfb-run)")
    with tempfile.TemporaryDirectory() as place:
        python = installed(place, f"{ROOT}[pyside,batch]", *TEST_TOOLS, "pytest-qt", version=version)
        found = run(python, "-c", "import PySide6; print(PySide6.__version__)").strip()
        screen = (xvfb, "-a", "-s", "-screen 0 1600x1000x24")
        print(f"Python {version}, PySide6 {found}: {last_line(*screen, python, *tests)}")


def exchange() -> None:
    with tempfile.TemporaryDirectory() as place:
        python = installed(place, f"{ROOT}[exchange,zspy]", *EXCHANGE_TOOLS)
        print(run(python, "-m", "pytest", "-q", "-rs", *EXCHANGE_TESTS).splitlines()[-1])


def last_line(*command: str | Path) -> str:
    """What pytest says at the end; its options and tests follow the interpreter."""
    at = next(n for n, word in enumerate(command) if Path(word).stem == "python")
    return run(*command[: at + 1], "-m", "pytest", "-q", *command[at + 1 :]).splitlines()[-1]


def is_there(version: str) -> bool:
    """Whether uv finds an interpreter of this version; if not, that is said."""
    find = (sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--system", version)
    found = not subprocess.run(find, capture_output=True).returncode
    if not found:
        print(f"Python {version}: not to be had here")
    return found


def installed(place: str, *what: str, version: str = PYTHONS[0]) -> Path:
    """Install into the environment in a folder, which is made if it is not there; its Python."""
    uv = (sys.executable, "-m", "uv")
    if not Path(place, "pyvenv.cfg").exists():
        run(*uv, "venv", "--quiet", "--python", version, place)
    python = next(path for path in Path(place).glob("*/python*") if path.stem == "python")
    run(*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *what)
    return python


def check_size(what: str, place: str, most: float) -> None:
    size = sum(path.lstat().st_size for path in Path(place).rglob("*") if not path.is_dir())
    print(f"{what}: {size / 1e9:.2f} GB")
    if size > most:
        raise SystemExit(f"{what}: more than {most / 1e9} GB")


def registry_answers() -> bool:
    """Whether uv reaches a package registry here."""
    command = (sys.executable, "-m", "uv", "pip", "compile", "--quiet", "-")
    return not subprocess.run(command, input="packaging", capture_output=True, text=True).returncode


if __name__ == "__main__":
    if not registry_answers():
        raise SystemExit(print("skipped: uv reaches no package registry here"))
    all_checks = (
        platforms, beside, package, recipe, headless, window, pyside, exchange, lowest, pythons, pyside_whole
    )  # fmt: skip
    checks = {check.__name__: check for check in all_checks}
    for name in sys.argv[1:] or ("platforms", "beside", "package", "recipe", "headless", "window"):
        checks[name]()
