"""Who may import whom, and what a cheap import leaves out."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "napari_tem_fft"

#: Room -> rooms of the package that it may import.
MAY_IMPORT = {
    "core": set(),
    "io": {"core"},
    "nn": {"core"},
    "layers": {"core"},
    "api": {"core", "io", "nn"},
    "batch": {"core", "io", "nn", "api"},
    "plugin": {"core", "io", "layers"},
    "cli": {"core", "io", "nn", "api", "batch"},
    "widgets": {"core", "io", "nn", "layers", "api", "batch"},
}
#: The one module that stands higher than its room: a batch in one call of the API.
HIGHER = {"api/batch.py": "cli"}
WINDOW = {"napari", "qtpy", "magicgui"}
NETWORK = {"tensorflow", "keras"}
#: Room -> packages that it must not import, at any level.
FORBIDDEN = {
    "core": {*WINDOW, *NETWORK, "rsciio", "matplotlib", "tifffile"},
    "io": {*WINDOW, *NETWORK},
    "nn": {*WINDOW, "rsciio"},
    "layers": {*WINDOW, *NETWORK},
    "api": {*WINDOW, *NETWORK},
    "batch": {*WINDOW, *NETWORK},
    "cli": {*WINDOW, *NETWORK},
    "widgets": NETWORK,
}
MODULES = sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py"))
HEAVY = ("napari", "qtpy", "PyQt6", "tensorflow", "keras", "rsciio", "gemmi", "matplotlib", "skimage")


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Absolute dotted names, in parts, of everything that a module imports."""
    folder = ("napari_tem_fft", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            if module == ("napari_tem_fft",):
                yield from ((*module, alias.name) for alias in node.names)
            else:
                yield module


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_what_its_room_may(module: str) -> None:
    path = PACKAGE / module
    room = HIGHER.get(module, Path(module).parts[0])
    for name in imports(path):
        assert name[0] not in FORBIDDEN.get(room, set()), f"{module} imports {'.'.join(name)}"
        if name[0] == "napari_tem_fft" and room in MAY_IMPORT and name[1:] and name[1] != "__version__":
            assert name[1] == room or name[1] in MAY_IMPORT[room], f"{module} imports {name[1]}"


def test_docstrings_can_be_compiled_by_python_3_13() -> None:
    """Its compiler encodes each of them as UTF-8, so that half a pair of surrogates ends the import."""
    for module in MODULES:
        text = (PACKAGE / module).read_text(encoding="utf-8")
        if "\\ud" in text.lower():
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    (ast.get_docstring(node, clean=False) or "").encode()


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("nn/")])
def test_keras_is_in_training_only(module: str) -> None:
    keras = any(name[0] in NETWORK for name in imports(PACKAGE / module))
    assert not keras or module.startswith("nn/training/")


def loaded_after(statement: str, names: tuple[str, ...]) -> list[str]:
    """Which of the packages are loaded after a statement, in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*[n for n in {names!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_package_is_cheap() -> None:
    assert loaded_after("import napari_tem_fft", (*HEAVY, "numpy", "scipy")) == []


ENGINE = ("core.pipeline", "api", "cli.main", "io.results.folder", "nn.inference.model")


@pytest.mark.parametrize("module", ENGINE)
def test_engine_leaves_gui_and_network_out(module: str) -> None:
    heavy = ("napari", "qtpy", "PyQt6", "tensorflow", "keras", "scipy.stats", "scipy.signal")
    assert loaded_after(f"import napari_tem_fft.{module}", heavy) == []


def test_the_command_line_loads_pictures_only_to_draw() -> None:
    heavy = ("matplotlib", "rsciio", "distributed", "scipy", "skimage", "gemmi")
    assert loaded_after("import napari_tem_fft.cli.main", heavy) == []
