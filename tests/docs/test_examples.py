"""Every `>>>` example in the code is run, and nothing public is without one."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import napari_tem_fft
from napari_tem_fft import api

ROOT = Path(__file__).parents[2]
#: What needs Keras or a screen has its own tests.
ELSEWHERE = ("napari_tem_fft.nn.training", "napari_tem_fft.widgets", "napari_tem_fft.__main__")


def modules_with_examples() -> list[str]:
    found = []
    for one in pkgutil.walk_packages(napari_tem_fft.__path__, "napari_tem_fft."):
        if not one.name.startswith(ELSEWHERE):
            spec = one.module_finder.find_spec(one.name, None)
            assert spec is not None and spec.origin is not None
            if ">>> " in Path(spec.origin).read_text(encoding="utf-8"):
                found.append(one.name)
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_show_what_happens(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert not result.failed


def public_objects() -> dict[str, Any]:
    """Functions and classes of the package, of `api`, and of the page on Python, by their full names."""
    found = [getattr(napari_tem_fft, name) for name in napari_tem_fft.__all__ if name != "__version__"]
    found += [getattr(api, name) for name in api.__all__]
    for name in ("script", "batch"):
        found += own_objects(importlib.import_module(f"napari_tem_fft.api.{name}"))
    page = ROOT / "docs" / "api.md"
    for line in page.read_text(encoding="utf-8").splitlines() if page.is_file() else ():
        if line.startswith("::: ") and line.removeprefix("::: ").strip() != "napari_tem_fft.api":
            module, _, name = line.removeprefix("::: ").strip().rpartition(".")
            found.append(getattr(importlib.import_module(module), name))
    return {f"{one.__module__}.{one.__qualname__}": one for one in found}


def own_objects(module: ModuleType) -> list[Any]:
    return [
        one
        for name, one in vars(module).items()
        if not name.startswith("_") and inspect.isroutine(one) | inspect.isclass(one)
        if one.__module__ == module.__name__
    ]


def test_nothing_public_is_without_an_example() -> None:
    objects = public_objects()
    assert len(objects) > 40
    assert [name for name, one in objects.items() if ">>> " not in (inspect.getdoc(one) or "")] == []
