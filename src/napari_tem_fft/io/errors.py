"""ReadError: the only error that comes out of reading a file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path


class ReadError(ValueError):
    """A file cannot be used; the message says which, why, and what to do.

    Parameters
    ----------
    path : path
        The file.
    what : str
        What is wrong with it, in a microscopist's words.
    advice : str
        What the user can do about it.
    """

    def __init__(self, path: str | PathLike[str], what: str, advice: str = "") -> None:
        super().__init__(str(path), what, advice)  # plain args, so that it crosses processes by pickle
        self.path, self.what, self.advice = Path(path), what, advice

    def __str__(self) -> str:
        return f"{self.path.name}: {self.what}" + (f"; {self.advice}" if self.advice else "")
