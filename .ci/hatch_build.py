"""Puts the top-level ``napari.yaml`` and ``models/`` inside the package.

A wheel gets copies of them. An editable install gets links in the source folder (copies where the
system refuses links), for npe2 finds a manifest only inside the package's own folder.
"""

import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = ("napari.yaml", "models")


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        for name in SHIPPED:
            if version == "editable":
                link(Path(self.root, name), Path(self.root, "src", "napari_tem_fft", name))
            else:
                build_data["force_include"][name] = f"napari_tem_fft/{name}"


def link(source: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    try:
        target.symlink_to(Path("..", "..", source.name), target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
