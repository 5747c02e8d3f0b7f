"""Provenance of a results folder as an RO-Crate: input, output, parameters and software.

The file ``ro-crate-metadata.json`` is added to the folder. It follows RO-Crate 1.1 and the profile Process
Run Crate 0.5, and is created from ``analysis.json`` alone.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import quote

from ..plain import json_text
from ..results.description import FORMAT, FORMAT_VERSION
from ..results.folder import ANALYSIS
from ..results.whole_folder import PROVENANCE, read_description

SPECIFICATION, PROFILE = "https://w3id.org/ro/crate/1.1", "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [f"{SPECIFICATION}/context", "https://w3id.org/ro/terms/workflow-run/context"]
#: Number of bytes hashed at a time.
BLOCK = 2**20
#: MIME types that are unknown to Python.
KINDS = {
    ".ang": "text/plain", ".ctf": "text/plain", ".hspy": "application/x-hdf5", ".npz": "application/zip",
    ".nxs": "application/x-hdf5", ".parquet": "application/vnd.apache.parquet", ".tif": "image/tiff",
}  # fmt: skip


def write_ro_crate(folder: str | Path) -> Path:
    """Add ``ro-crate-metadata.json`` to a results folder.

    It lists all files of the folder with size and SHA-256, the micrograph by name and SHA-256 (not its path),
    this program and its libraries with their versions, and all parameters.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the folder contains no readable ``analysis.json``.
    OSError
        If the file cannot be written.
    """
    folder = Path(folder)
    stored = read_description(folder / ANALYSIS, FORMAT, FORMAT_VERSION)
    files = [_file(path, folder) for path in sorted(folder.rglob("*")) if _is_content(path, folder)]
    micrograph, parameters = _micrograph(stored["micrograph"]), list(_parameters(stored["parameters"]))
    software = [_software(name, version) for name, version in stored["software"].items()]
    action = {
        "@id": "#analysis",
        "@type": "CreateAction",
        "name": f"analysis of {micrograph['name']}",
        "endTime": stored["written"],
        "instrument": _ref(software[0]),
        "object": [_ref(one) for one in (micrograph, *parameters)],
        "result": [_ref(one) for one in files],
    }
    software[0]["softwareRequirements"] = [_ref(one) for one in software[1:]]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Analysis of the micrograph {stored['micrograph']['name']}",
        "description": _summary(stored),
        "datePublished": stored["written"],
        "conformsTo": {"@id": PROFILE},
        "hasPart": [_ref(one) for one in files],
        "mentions": _ref(action),
    }
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    graph = [_descriptor(), root, profile, action, micrograph, *software, *parameters, *files]
    path = folder / PROVENANCE
    path.write_text(json_text({"@context": CONTEXT, "@graph": graph}), encoding="utf-8")
    return path


def _descriptor() -> dict[str, Any]:
    return {
        "@id": PROVENANCE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
    }


def _is_content(path: Path, folder: Path) -> bool:
    """Whether a path is a regular file of the folder that is neither hidden nor the crate's own file."""
    names = path.relative_to(folder).parts
    hidden = any(name.startswith(".") for name in names)
    return path.is_file() and not path.is_symlink() and not hidden and names != (PROVENANCE,)


def _file(path: Path, folder: Path) -> dict[str, Any]:
    kind = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    entity = {
        "@id": quote(path.relative_to(folder).as_posix()),
        "@type": "File",
        "name": path.name,
        "encodingFormat": kind,
        "contentSize": str(path.stat().st_size),
        "sha256": _sha256(path),
    }
    if path == folder / ANALYSIS:
        entity["description"] = "everything except the arrays, with units, parameters and versions"
    return entity


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def _micrograph(known: Mapping[str, Any]) -> dict[str, Any]:
    """The input, by name and hash; the file is not in the folder."""
    entity = {"@id": "#micrograph", "@type": "ImageObject", "name": known["name"]}
    file = PureWindowsPath(str(known["file"] or "")).name
    return entity | {
        key: value for key, value in (("alternateName", file), ("sha256", known["sha256"])) if value
    }


def _software(name: str, version: str) -> dict[str, Any]:
    return {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": version}


def _parameters(stored: Mapping[str, Any], before: str = "") -> Iterator[dict[str, Any]]:
    """Yield a property value for each parameter, named as in ``analysis.json``."""
    for key, value in stored.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _parameters(value, f"{name}.")
        else:
            text = json.dumps(value) if isinstance(value, list) or value is None else value
            yield {"@id": f"#parameter-{name}", "@type": "PropertyValue", "name": name, "value": text}


def _summary(stored: Mapping[str, Any]) -> str:
    parts = [f"{part['name']} ({part['outcome']}, {part['area']:.1f} nm^2)" for part in stored["components"]]
    return f"Components: {', '.join(parts) or 'no crystal'}."


def _ref(entity: Mapping[str, Any]) -> dict[str, str]:
    return {"@id": entity["@id"]}
