"""The README as the package index shows it: its links are absolute, to the released version."""

import posixpath
import re
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


class ReadmeHook(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        with open(posixpath.join(self.root, "README.md"), encoding="utf-8") as file:
            text = file.read()
        source, version = metadata["urls"]["Source"], metadata.get("version", "main")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": with_absolute_links(text, source, f"v{version}"),
        }


def with_absolute_links(text: str, source: str, tag: str) -> str:
    """Relative links as links to a tag of the repository: pictures to their bytes, the rest to its pages."""
    raw = source.replace("https://github.com/", "https://raw.githubusercontent.com/")

    def absolute(match: re.Match[str]) -> str:
        picture, words, target = match.groups()
        base = f"{raw}/{tag}" if picture else f"{source}/blob/{tag}"
        return f"{picture}[{words}]({base}/{target})"

    return LINK.sub(absolute, text)
