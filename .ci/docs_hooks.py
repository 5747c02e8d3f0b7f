"""Pages of the documentation that are made of what stands elsewhere, each thing written once.

The front page and the tutorial are the README's, the command line is the parser's own help, and model card,
changelog and guide for contributors are the repository's files. Links between them are bent to the site's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
TOUR = "## A first tour"
#: Files outside of docs/ that are pages or pictures of the site.
TAKEN = {
    "models/spots/MODEL_CARD.md": "model-card.md",
    "models/spots/evaluation.png": "images/evaluation.png",
    "models/spots/curves.png": "images/curves.png",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> None:
    """Addresses of the site and of the repository, which pyproject.toml says."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    config.site_url, config.repo_url, config.edit_uri = urls["Documentation"], urls["Source"], ""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, text in {**pages(), **notebooks()}.items():
        files.append(File.generated(config, name, content=text))
    for source, name in TAKEN.items():
        if not name.endswith(".md"):
            files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links of a page of docs/ that lead out of it."""
    return bent(markdown, "docs") if page.file.generated_by is None else markdown


def pages() -> dict[str, str]:
    """Text of every page that is made, by its name."""
    front, tour, rest = readme_parts((ROOT / "README.md").read_text(encoding="utf-8"))
    link = f"{TOUR}\n\nIn napari, on the command line and in Python: the [tutorial](docs/tutorial.md).\n\n"
    made = {"index.md": bent(front + link + rest, "."), "cli.md": command_line()}
    made["tutorial.md"] = bent(tour.replace(TOUR, "# A first tour", 1), ".").replace("\n### ", "\n## ")
    for source, name in TAKEN.items():
        if name.endswith(".md"):
            text = (ROOT / source).read_text(encoding="utf-8")
            made[name] = bent(text, str(Path(source).parent))
    return made


def notebooks() -> dict[str, str]:
    """The notebooks of docs/ as pages, with what their cells show."""
    found = sorted((ROOT / "docs").glob("*.ipynb"))
    return {f"{path.stem}_notebook.md": notebook_page(path) for path in found}


def notebook_page(path: Path) -> str:
    """Text, code and outputs of a notebook; pictures stand in the page."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [text for output in cell.get("outputs", ()) if (text := shown(output))]
    about = f"This page is the notebook `docs/{path.name}`: open it in Jupyter to change it and run it."
    parts.insert(1, about)
    return "\n\n".join(parts) + "\n"


def shown(output: dict[str, Any]) -> str:
    """What a notebook shows below a cell, for a page."""
    if "text" in output:
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = output.get("data", {})
    if "text/html" in data:
        return "".join(data["text/html"]).replace("\n", " ")
    if "image/png" in data:
        return f'<img alt="output" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">'
    return ""


def readme_parts(text: str) -> tuple[str, str, str]:
    """The README before its tour, the tour, and what follows."""
    front, after = text.split(f"{TOUR}\n", 1)
    tour, heading, rest = after.partition("\n## ")
    return front, f"{TOUR}\n{tour}", heading.lstrip("\n") + rest


def bent(text: str, folder: str) -> str:
    """The links of a file in `folder` as links of the site."""

    def link(match: re.Match[str]) -> str:
        picture, words, target, anchor = match.groups(default="")
        if "://" in target or target.startswith("mailto:"):
            return match.group()
        path = os.path.normpath(os.path.join(folder, target)).replace(os.sep, "/")
        name = "index.md" if path == "README.md" else TAKEN.get(path, path.removeprefix("docs/"))
        name = f"{name.removesuffix('.ipynb')}_notebook.md" if name.endswith(".ipynb") else name
        on_site = name != path or not (ROOT / path).exists()  # what does not exist is for mkdocs to refuse
        return f"{picture}[{words}]({name}{anchor})" if on_site else words

    return LINK.sub(link, text)


def command_line() -> str:
    """The help of every command, from the parser that the program uses."""
    from napari_tem_fft.cli.options import build_parser

    os.environ["COLUMNS"] = "100"
    parser = build_parser()
    parts = ["# Command line\n\nEach command explains itself with `--help`; this is what it says.\n"]
    for name, command in commands(parser):
        parts.append(f"## {name}\n\n```text\n{command.format_help().replace(str(Path.home()), '~')}```\n")
    return "\n".join(parts)


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with its own parser, aliases left out."""
    yield "napari-tem-fft", parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            seen: set[int] = set()
            for name, command in action.choices.items():
                if id(command) not in seen:
                    seen.add(id(command))
                    yield name, command
