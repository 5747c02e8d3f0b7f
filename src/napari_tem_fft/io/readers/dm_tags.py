"""Outline of a Gatan file: walk through its tags without reading their data, and check every size.

rosettasciio trusts every count in a file, so a damaged file can make it allocate terabytes or run for
hours. This module follows the same path through the file but seeks instead of reading, and refuses
impossible values before anything is allocated. The layout of the format is public:

    header      version, length, byte order of the values (all of it big endian)
    group       sorted, open, number of children, children
    child       kind (20 group, 21 data), length of name, name, [DM4: bytes that follow],
                then a group, or "%%%%", length of type description, type description, values

Counts are 4 bytes wide in DM3 and 8 in DM4.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ReadError

_BROKEN_COPY = "the copy or transfer broke: copy it again from the microscope computer"
_DAMAGED = "open it in Gatan's program and save it again, or copy it again from the microscope computer"

#: Struct format of a value by its type code.
_FORMATS = {2: "h", 3: "i", 4: "H", 5: "I", 6: "f", 7: "d", 8: "B", 9: "b", 10: "B", 11: "q", 12: "Q"}
_STRUCT, _STRING, _ARRAY = 15, 18, 20

#: Limits far above any real file; beyond them the reader would run for minutes.
_DEEPEST, _MOST_FIELDS, _MOST_BYTES = 64, 4096, 2**24


@dataclass(frozen=True, slots=True)
class Values:
    """Where the values of a tag lie: offset and number of bytes, number and width of its elements."""

    offset: int
    n_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class DmOutline:
    """What a Gatan file claims to hold.

    Attributes
    ----------
    tags : dict
        Tree of the tags: groups are dicts, single numbers are numbers, all else is `Values`.
    has_bracket : bool
        Whether the name of a tag holds "[", over which rosettasciio 0.15 stumbles.
    order : {"<", ">"}
        Byte order of the values: little endian, or big endian from an old Macintosh.
    """

    tags: dict[str, Any]
    has_bracket: bool
    order: str


def outline(path: str | PathLike[str]) -> DmOutline:
    """Walk through the tags of a Gatan file.

    Raises
    ------
    ReadError
        If the file ends too early, or a tag is damaged.
    """
    path = Path(path)
    with path.open("rb") as stream:
        walk = _Walk(path, stream, path.stat().st_size)
        try:
            return DmOutline(walk.root(), walk.has_bracket, walk.order)
        except struct.error as error:
            raise walk.cut_off() from error


@dataclass(slots=True)
class _Walk:
    """Position in a file that is being walked through."""

    path: Path
    stream: BinaryIO
    size: int
    count_format: str = ">i"
    order: str = "<"
    read_bytes: int = 0
    has_bracket: bool = False
    _count_size: int = field(default=4, init=False)

    def root(self) -> dict[str, Any]:
        """The whole tree."""
        (version,) = self.take(">i")
        if version == 4:
            self.count_format, self._count_size = ">q", 8
        self.words(1)
        (little,) = self.take(">i")
        self.order = "<" if little else ">"
        self.take(">bb")
        return self.group("", 0)

    def group(self, name: str, depth: int) -> dict[str, Any]:
        """Children of a group whose flags were read already."""
        if depth > _DEEPEST:
            raise self.damaged_file("its tags are nested too deeply")
        (count,) = self.words(1)
        if count < 0:
            raise self.damaged_file("a group of tags has a negative length")
        tags: dict[str, Any] = {}
        unnamed = {20: 0, 21: 0}
        for _ in range(count):
            kind, label = self.child_head()
            if not label:
                label = f"{'TagGroup' if kind == 20 else 'Data'}{unnamed[kind]}"
                unnamed[kind] += 1
            tags[label] = self.child(kind, name, label, depth)
        return tags

    def child_head(self) -> tuple[int, str]:
        """Kind and name of the next child."""
        kind, length = self.take(">Bh")
        if kind not in (20, 21) or length < 0:
            raise self.damaged_file(f"there is no tag where one should be (kind {kind})")
        label = self.stream.read(length).decode("latin-1")
        if len(label) < length:
            raise self.cut_off()
        self.has_bracket |= "[" in label
        return kind, label.replace(".", "")

    def child(self, kind: int, parent: str, label: str, depth: int) -> Any:
        """The next child's group or values."""
        if self._count_size == 8:
            self.take(">q")
        if kind == 20:
            self.take(">bb")
            return self.group(label, depth + 1)
        if self.take("4s") != (b"%%%%",):
            raise self.damaged_file("the mark before a tag's values is missing")
        return self.data(counted=(parent, label) != ("ImageData", "Data"))

    def data(self, counted: bool) -> Any:
        """Skip the values of a tag; a single number is read."""
        (length,) = self.words(1)
        if length == 1:
            (code,) = self.words(1)
            return self.take(self.order + self.format(code))[0]
        (code,) = self.words(1)
        count = 1
        if code == _STRING and length == 2:
            (width,) = self.words(1)
        elif code == _ARRAY and length == 3:
            code, count = self.words(2)
            width = struct.calcsize("=" + self.format(code))
        elif code == _STRUCT and length > 3:
            width = self.fields()
        elif code == _ARRAY and length > 3:
            width, count = self.elements()
        else:
            raise self.damaged_file(f"a tag has values of an unknown kind ({code})")
        return self.skip(width, count, counted)

    def elements(self) -> tuple[int, int]:
        """Width and number of the elements of an array that are no plain numbers."""
        (code,) = self.words(1)
        if code == _STRUCT:
            width = self.fields()
        elif code == _STRING:
            (width,) = self.words(1)
        else:
            raise self.damaged_file(f"a tag has values of an unknown kind ({code})")
        (count,) = self.words(1)
        return width, count

    def fields(self) -> int:
        """Bytes of a struct, from its description."""
        _, count = self.words(2)
        if not 0 <= count <= _MOST_FIELDS:
            raise self.damaged_file(f"a tag claims {count} fields")
        codes = self.words(2 * count)[1::2]
        return sum(struct.calcsize("=" + self.format(code)) for code in codes)

    def skip(self, width: int, count: int, counted: bool) -> Values:
        """Pass over values, after making sure that they are there."""
        if width < 0 or count < 0 or (width == 0 and count > 1):
            raise self.damaged_file("a tag has values of an impossible size")
        offset = self.stream.tell()
        if width * count > self.size - offset:
            raise self.cut_off()
        self.read_bytes += width * count if counted else 0
        if self.read_bytes > _MOST_BYTES:
            raise self.damaged_file("its tags outside of the images are too large")
        self.stream.seek(width * count, 1)
        return Values(offset, width * count, count)

    def format(self, code: int) -> str:
        """Struct format of a type code."""
        if code not in _FORMATS:
            raise self.damaged_file(f"a tag has values of an unknown kind ({code})")
        return _FORMATS[code]

    def words(self, count: int) -> tuple[int, ...]:
        """The next counts."""
        return self.take(f">{count}{self.count_format[1]}")

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values of a struct format; struct.error where the file ends."""
        return struct.unpack(form, self.stream.read(struct.calcsize(form)))

    def damaged_file(self, what: str) -> ReadError:
        """The error for a file that contradicts itself."""
        return ReadError(self.path, f"damaged file: {what} (at byte {self.stream.tell()})", _DAMAGED)

    def cut_off(self) -> ReadError:
        """The error for a file that ends too early."""
        return ReadError(
            self.path, f"incomplete file: it ends after {self.size} bytes, within its tags", _BROKEN_COPY
        )
