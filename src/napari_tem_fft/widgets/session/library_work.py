"""LibraryWork: imports and fetches of the user's library, in a process of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, Signal

from .command import Command

#: Names that an import takes, besides folders.
SUFFIXES = (".cif", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class LibraryWork(QObject):
    """Runs ``phases import`` or ``phases fetch``, one at a time; the window stays free.

    Parameters
    ----------
    parent : QObject
        What is under way ends with it.

    Signals
    -------
    progressed(int)
        Files or structures that are done.
    reported(object)
        What became of them: the counts of `ImportReport`, and the first refusals with their reasons.
    ended(str)
        Nothing runs any longer; what went wrong, "cancelled" (then the library is as it was), or nothing.
    """

    progressed = Signal(int)
    reported = Signal(object)
    ended = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._command = Command(self, "the import")
        self._command.told.connect(self._on_told)
        self._command.ended.connect(self.ended)
        application = QCoreApplication.instance()
        for gone in (application and application.aboutToQuit, parent.destroyed):
            if gone is not None:
                gone.connect(partial(Command.finish, self._command))

    @property
    def running(self) -> bool:
        """Whether something is under way."""
        return self._command.running

    def take_in(self, library: Path, sources: Iterable[Path]) -> None:
        """Import files, folders and archives."""
        self._start(library, "import", *map(str, sources))

    def fetch(self, library: Path, provider: str, elements: str, limit: int) -> None:
        """Ask a database for structures of some elements and no others."""
        self._start(library, "fetch", f"--provider={provider}", f"--elements={elements}", f"--limit={limit}")

    def cancel(self) -> None:
        """Break it off; the library stays as it was."""
        self._command.cancel()

    def _start(self, library: Path, what: str, *words: str) -> None:
        said = ("--progress", "json", f"--library-file={library}")
        self._command.start((sys.executable, "-P", "-m", "napari_tem_fft", "phases", what, *said, *words))

    def _on_told(self, told: dict[str, Any]) -> None:
        if "done" in told:
            self.progressed.emit(int(told["done"]))
        if "report" in told:
            self.reported.emit(told["report"])


def is_source(path: Path) -> bool:
    """Whether an import takes it: a folder, a CIF file or an archive.

    Examples
    --------
    >>> is_source(Path("minerals.tar.gz")), is_source(Path("micrograph.dm4"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES) or path.is_dir()
