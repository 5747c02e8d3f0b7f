"""Which tests can run here: windows, in ``tests/widgets``, need a screen.

TensorFlow and OpenGL in software (Mesa) crash in one process, so what needs TensorFlow runs in a Python of
its own (`own_process`).
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
# only the tests of the network run one
os.environ["NAPARI_TEM_FFT_NETWORK"] = "none"
# a busy machine is no failure
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY")
        or os.environ.get("WAYLAND_DISPLAY")
        or os.environ.get("QT_QPA_PLATFORM") == "offscreen"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(TESTS / "widgets"):
            item.add_marker("viewer")
            if not has_screen():
                item.add_marker(pytest.mark.skip(reason="no screen: run under xvfb-run"))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real and simulated micrographs (NAPARI_TEM_FFT_DATA); skips where there is none."""
    folder = os.environ.get("NAPARI_TEM_FFT_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("NAPARI_TEM_FFT_DATA names no folder of test micrographs")
    return Path(folder)


@pytest.fixture(autouse=True, scope="session")
def _index_in_a_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' matching indices out of the user's cache."""
    folder = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_tem_fft.io.phases.index_cache.cache_folder", lambda: folder)
        yield
