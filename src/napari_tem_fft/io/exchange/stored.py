"""A stored analysis of any kind: a ``*.temfft``, or a folder of results whose micrograph is found again."""

from __future__ import annotations

from pathlib import Path

from ...core.image.micrograph import Micrograph
from ...core.pipeline import Analysis
from ..errors import ReadError
from ..results.description import FORMAT, FORMAT_VERSION
from ..results.folder import ANALYSIS, load_results
from ..results.whole_folder import read_description
from .temfft import find_micrograph, load_temfft


def load_stored(path: str | Path, micrograph: Micrograph | None = None) -> Analysis:
    """The analysis in a ``*.temfft`` or in a folder of results.

    Parameters
    ----------
    path : path
    micrograph : Micrograph, optional
        The micrograph of a folder of results. By default its file is searched in its former place and next to
        the folder's files.

    Raises
    ------
    ReadError
        If there is no analysis in it, it is damaged, only its tables were kept, or its micrograph is not
        found.
    """
    path = Path(path)
    if not (path / ANALYSIS).is_file():
        analysis = load_temfft(path).analysis
        if analysis is None:
            raise ReadError(
                path, "there is no analysis in it", "open it in napari, and analyse the micrograph"
            )
        return analysis
    try:
        if micrograph is None:
            stored = read_description(path / ANALYSIS, FORMAT, FORMAT_VERSION)
            micrograph = find_micrograph(path / ANALYSIS, stored["micrograph"])
        return load_results(path, micrograph)
    except ReadError as error:
        raise ReadError(path, error.what, error.advice) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(path, str(error)) from error
