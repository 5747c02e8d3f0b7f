"""Errors in the user's words: as napari notifications, and for the dock where they stay to be read."""

from __future__ import annotations

from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, Signal

NO_MEMORY = "Not enough memory for this image: close other images, or analyse a part of it."


class Messages(QObject):
    """Passes on what went wrong.

    Signals
    -------
    told(str)
        What went wrong and what to do.
    """

    told = Signal(str)


#: The one of the process.
messages = Messages()


def tell(error: Exception) -> None:
    """Show an error; a message made for the user as it is, anything else with its traceback."""
    if isinstance(error, ValueError | OSError):
        text = str(error)
        show_error(text)
    elif isinstance(error, MemoryError):
        text = NO_MEMORY
        show_error(text)
    else:
        text = f"{type(error).__name__}: {error}"
        notification_manager.receive_error(type(error), error, error.__traceback__)
    messages.told.emit(text)
