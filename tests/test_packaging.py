"""The wheel, the sdist and the editable install hold the manifest and the models."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import napari_tem_fft

ROOT = Path(__file__).parents[1]
PARTS = (
    "src",
    "models",
    ".ci",
    "pyproject.toml",
    "CITATION.cff",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "napari.yaml",
)
SHIPPED = ("napari.yaml", "models/README.md", "py.typed", "data/sample.dm4", "data/edge.dm4")
HOOK = "import hatchling.build as b; b.{name}(r'{out}')"

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="not in a checkout: there is nothing to build"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the build needs, so that no link and no dist/ is left in the checkout."""
    root = tmp_path / "checkout"
    root.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, root / part, **({"symlinks": True} if copy is shutil.copytree else {}))
    shutil.copy2(ROOT / ".gitignore", root)
    return root


def build(root: Path, name: str, out: Path) -> Path:
    out.mkdir()
    command = [sys.executable, "-c", HOOK.format(name=name, out=out)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(iter(sorted(out.iterdir())))


def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    return set(names)


def test_wheel_from_checkout_holds_manifest_and_models(checkout: Path, tmp_path: Path) -> None:
    names = wheel_names(build(checkout, "build_wheel", tmp_path / "wheel"))
    assert {f"napari_tem_fft/{name}" for name in SHIPPED} <= names
    assert not any(name.startswith(("tests/", "models/", ".ci/")) for name in names)


def test_wheel_from_sdist_is_the_same(checkout: Path, tmp_path: Path) -> None:
    direct = wheel_names(build(checkout, "build_wheel", tmp_path / "wheel"))
    with tarfile.open(build(checkout, "build_sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = next(tmp_path.glob("napari_tem_fft-*"))
    assert wheel_names(build(unpacked, "build_wheel", tmp_path / "again")) == direct


def test_editable_install_links_manifest_and_models(checkout: Path, tmp_path: Path) -> None:
    build(checkout, "build_editable", tmp_path / "editable")
    package = checkout / "src" / "napari_tem_fft"
    assert (package / "napari.yaml").read_text() == (ROOT / "napari.yaml").read_text()
    assert (package / "models" / "README.md").is_file()
    names = wheel_names(build(checkout, "build_wheel", tmp_path / "after"))
    assert {f"napari_tem_fft/{name}" for name in SHIPPED} <= names


def metadata_of(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def test_the_package_index_sees_absolute_links(checkout: Path, tmp_path: Path) -> None:
    text = metadata_of(build(checkout, "build_wheel", tmp_path / "wheel"))
    source, version = urls()["Source"], napari_tem_fft.__version__
    raw = source.replace("github.com", "raw.githubusercontent.com")
    assert f"]({raw}/v{version}/docs/images/main.png)" in text
    assert f"]({source}/blob/v{version}/docs/phases.md)" in text
    assert not re.findall(r"\]\((?!https?://|#)[^)]*\)", text)
    assert f"Project-URL: Source, {source}" in text


def urls() -> dict[str, str]:
    found: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    return found


def test_citation_and_recipe_say_the_same_version_and_addresses() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == napari_tem_fft.__version__
    assert citation["repository-code"] == urls()["Source"] and citation["url"] == urls()["Homepage"]
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())
    assert recipe["context"]["version"] == napari_tem_fft.__version__
    assert recipe["about"]["repository"] == urls()["Source"]
    assert recipe["about"]["homepage"] == urls()["Homepage"]


#: Where conda-forge has another name.
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def test_the_recipe_requires_what_the_package_does_and_no_more() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())
    stated = {one.partition(" ")[0]: one.partition(" ")[2] for one in recipe["requirements"]["run"]}
    wanted = {}
    for one in project["dependencies"]:
        name, _, version = one.partition(";")[0].partition(">=")
        wanted[CONDA_NAMES.get(name, name)] = f">={version}"
    assert stated == wanted | {"python": ">=${{ python_min }}"}
    assert not {"tensorflow", "napari"} & set(stated)


def test_sample_is_small() -> None:
    assert (ROOT / "src" / "napari_tem_fft" / "data" / "sample.dm4").stat().st_size <= 4 * 2**20
