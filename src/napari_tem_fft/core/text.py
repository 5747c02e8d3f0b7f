"""Text that can be shown anywhere, whatever characters the name of a file holds."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    r"""The text with all characters escaped that cannot be printed: controls, line ends, halves of pairs.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay as they are.

    Examples
    --------
    >>> print(printable("film\x1b[31m\udcff.dm4"))
    film\x1b[31m\udcff.dm4
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
