"""Errors as napari notifications: what went wrong and what to do, in the user's words."""

from __future__ import annotations

from napari.utils.notifications import notification_manager, show_error


def tell(error: Exception) -> None:
    """Show an error; a message made for the user as it is, anything else with its traceback."""
    if isinstance(error, ValueError | OSError):
        show_error(str(error))
    elif isinstance(error, MemoryError):
        show_error("Not enough memory for this image: close other images, or analyse a part of it.")
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
