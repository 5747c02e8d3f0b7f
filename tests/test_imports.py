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
    "batch": {"core", "io", "nn", "api"},
    "api": {"core", "io", "nn"},
    "_layers": {"core"},
    "_reader": {"core", "io", "_layers"},
    "_writer": {"core", "io", "_layers"},
    "_sample_data": {"core", "io", "_layers", "_reader"},
    "widgets": {"core", "io", "nn", "batch", "api", "_layers"},
    "cli": {"core", "io", "nn", "batch", "api"},
}
#: Room -> packages that it must not import, at any level.
FORBIDDEN = {
    "core": {
        "napari",
        "qtpy",
        "magicgui",
        "tensorflow",
        "keras",
        "rsciio",
        "gemmi",
        "matplotlib",
        "tifffile",
    },
    "io": {"napari", "qtpy", "magicgui", "tensorflow", "keras"},
    "nn": {"napari", "qtpy", "magicgui", "rsciio"},
    "batch": {"napari", "qtpy", "magicgui"},
    "api": {"napari", "qtpy", "magicgui", "tensorflow", "keras"},
    "cli": {"napari", "qtpy", "magicgui", "tensorflow", "keras"},
    "_layers": {"napari", "qtpy", "magicgui", "tensorflow", "keras"},
    "widgets": {"tensorflow", "keras"},
}
MODULES = sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py"))
HEAVY = ("napari", "qtpy", "PyQt6", "tensorflow", "keras", "rsciio", "gemmi", "matplotlib", "skimage")


#: Modules beside a room that belong to it.
PARTS = {
    "_api_edits": "api",
    "_api_images": "api",
    "_cli_analyse": "cli",
    "_cli_batch": "cli",
    "_cli_calibrate": "cli",
    "_cli_common": "cli",
    "_cli_evaluate": "cli",
    "_cli_options": "cli",
    "_cli_pattern": "cli",
    "_cli_phases": "cli",
    "_cli_report": "cli",
    "_cli_train": "cli",
    "_grain_layers": "_layers",
    "_image_layers": "_layers",
    "_layer_file": "_layers",
    "_plane": "_layers",
    "_present": "_layers",
    "_follow": "_layers",
    "_ring_labels": "_layers",
    "_spot_table": "_layers",
}


def room_of(parts: tuple[str, ...]) -> str:
    """Room of a module by its path or dotted name inside the package."""
    name = parts[0].removesuffix(".py") if parts else ""
    return PARTS.get(name, name)


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
    room = room_of(Path(module).parts)
    for name in imports(path):
        assert name[0] not in FORBIDDEN.get(room, set()), f"{module} imports {'.'.join(name)}"
        if name[0] == "napari_tem_fft" and room in MAY_IMPORT and name[1:] and name[1] != "__version__":
            other = room_of(name[1:])
            assert other == room or other in MAY_IMPORT[room], f"{module} imports {other}"


@pytest.mark.parametrize("module", MODULES)
def test_module_is_short(module: str) -> None:
    assert len((PACKAGE / module).read_text(encoding="utf-8").splitlines()) <= 350


def loaded_after(statement: str, names: tuple[str, ...]) -> list[str]:
    """Which of the packages are loaded after a statement, in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*[n for n in {names!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_package_is_cheap() -> None:
    assert loaded_after("import napari_tem_fft", (*HEAVY, "numpy", "scipy")) == []


@pytest.mark.parametrize("module", ["core.pipeline", "api", "cli", "io.results"])
def test_engine_leaves_gui_and_network_out(module: str) -> None:
    heavy = ("napari", "qtpy", "PyQt6", "tensorflow", "keras")
    assert loaded_after(f"import napari_tem_fft.{module}", heavy) == []


def test_the_command_line_loads_pictures_only_to_draw() -> None:
    assert loaded_after("import napari_tem_fft.cli", ("matplotlib", "rsciio", "distributed")) == []
