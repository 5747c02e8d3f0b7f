"""ResultTree: a table of results with nested rows, which can be clicked, sorted and copied."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QItemSelectionModel, QModelIndex, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QGuiApplication, QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QTreeWidget, QTreeWidgetItem

_KEY = Qt.ItemDataRole.UserRole
#: Relative luminances between which text has a contrast ratio of 3 on napari's dark and light backgrounds.
LEGIBLE = (0.17, 0.24)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the tree.

    Attributes
    ----------
    key : object
        Identifier that is emitted when the row is clicked; None for rows that cannot be selected.
    cells : tuple of str
    colour : str
        Colour of a square before the first cell; empty for none.
    help : str
        Tooltip.
    children : tuple of Row
    record : dict
        Values of the row by column, for a spreadsheet; if empty, the row is copied as shown.
    """

    key: Any
    cells: tuple[str, ...]
    colour: str = ""
    help: str = ""
    children: tuple[Row, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Records of the row and of all rows below it, where they exist."""
        if self.record:
            yield self.record
        for child in self.children:
            yield from child.records()


class ResultTree(QTreeWidget):
    """Tree of `Row`.

    Parameters
    ----------
    columns : sequence of str
    help : sequence of str
        Tooltips of the columns.
    sorted_by : int, optional
        Column by which the rows are sorted initially, largest numbers first; clicking a column title sorts
        by that column. By default the rows keep their order.

    Signals
    -------
    chosen(object)
        Key of the row that was clicked.
    escaped()
        Escape was pressed.
    deleted()
        Delete was pressed.
    """

    chosen = Signal(object)
    escaped = Signal()
    deleted = Signal()

    def __init__(self, columns: Sequence[str], help: Sequence[str], sorted_by: int | None = None) -> None:
        super().__init__()
        self._rows: list[Row] = []
        self.setColumnCount(len(columns))
        self.setHeaderLabels(list(columns))
        self.setUniformRowHeights(True)
        self.setMinimumHeight(90)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.headerItem()
        for column, text in enumerate(help):
            if header is not None:
                header.setToolTip(column, text)
        if sorted_by is not None:
            self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
            self.setRootIsDecorated(False)
            self.sortByColumn(sorted_by, Qt.SortOrder.DescendingOrder)
        self._sorted = sorted_by is not None
        self.setSortingEnabled(self._sorted)
        self.itemClicked.connect(self._on_clicked)
        self.itemExpanded.connect(self.fit_columns)

    def sizeHint(self) -> QSize:
        """Return a minimal height; the table takes the space that other controls leave."""
        return QSize(super().sizeHint().width(), self.minimumHeight())

    def scrollTo(
        self,
        index: QModelIndex,
        hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible,
    ) -> None:
        """Scroll to a row; a click on a long cell moves no other column out of sight."""
        bar = self.horizontalScrollBar()
        before = bar.value() if bar is not None else 0
        super().scrollTo(index, hint)
        if bar is not None:
            bar.setValue(before)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Clear the selection on Escape; emit `deleted` on Delete."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.clearSelection()
            self.escaped.emit()
        elif event is not None and event.key() == Qt.Key.Key_Delete:
            self.deleted.emit()
        else:
            super().keyPressEvent(event)

    def fill(self, rows: Sequence[Row]) -> None:
        """Replace the rows; expanded rows stay expanded."""
        unfolded = {item.data(0, _KEY) for item in self.items() if item.isExpanded()}
        self.setSortingEnabled(False)  # otherwise it would sort after each row
        self.clear()
        self._rows = list(rows)
        self.addTopLevelItems([_item(row) for row in rows])
        for item in self.items() if unfolded else ():
            item.setExpanded(item.data(0, _KEY) in unfolded)
        self.setSortingEnabled(self._sorted)
        self.fit_columns()

    def append(self, row: Row) -> None:
        """Append a row."""
        self._rows.append(row)
        self.addTopLevelItem(_item(row))

    def items(self) -> Iterator[QTreeWidgetItem]:
        """All items, from the top, each before its children."""
        waiting = [item for i in range(self.topLevelItemCount()) if (item := self.topLevelItem(i))]
        while waiting:
            item = waiting.pop(0)
            yield item
            waiting = [item.child(i) for i in range(item.childCount())] + waiting

    def mark(self, key: Any) -> None:
        """Select the row of a key without emitting `chosen`; None clears the selection."""
        self.clearSelection()
        for item in self.items():
            if key is not None and item.data(0, _KEY) == key:
                item.setSelected(True)
                self.scrollToItem(item)

    def mark_all(self, keys: Collection[Any]) -> None:
        """Select the rows of some keys without emitting signals, and scroll to the first of them."""
        with QSignalBlocker(self):
            self.clearSelection()
            found = [item for item in self.items() if item.data(0, _KEY) in keys]
            for item in found:
                item.setSelected(True)
            if found:  # where the arrow keys continue
                self.setCurrentItem(found[0], 0, QItemSelectionModel.SelectionFlag.NoUpdate)
        if found:
            self.scrollToItem(found[0])

    def marked(self) -> list[Any]:
        """Keys of the selected rows, from the top."""
        return [item.data(0, _KEY) for item in self.items() if item.isSelected()]

    def cells(self) -> list[list[str]]:
        """The table for a spreadsheet, with column names first: records, or the cells as shown."""
        records = [record for row in self._rows for record in row.records()]
        if records:
            names = list(dict.fromkeys(name for record in records for name in record))
            return [names, *([_plain(record.get(name)) for name in names] for record in records)]
        header = self.headerItem()
        rows = [*([header] if header is not None else []), *self.items()]
        return [[item.text(column) for column in range(self.columnCount())] for item in rows]

    def as_text(self) -> str:
        """The table as tab-separated lines, for a spreadsheet."""
        return "\n".join("\t".join(row) for row in self.cells())

    def write_csv(self, path: Path) -> None:
        """Write the table as a CSV file; cells with commas or quotes are quoted."""
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(self.cells())

    def copy(self) -> None:
        """Copy the table to the clipboard."""
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.as_text())

    def fit_columns(self, item: QTreeWidgetItem | None = None) -> None:
        """Resize each column to its content."""
        for column in range(self.columnCount()):
            self.resizeColumnToContents(column)

    def _on_clicked(self, item: QTreeWidgetItem, column: int) -> None:
        key = item.data(0, _KEY)
        if key is not None:
            self.chosen.emit(key)


def _plain(value: Any) -> str:
    """Format a value for a spreadsheet: seven digits, no unit, empty if unknown."""
    if isinstance(value, float):
        return f"{value:.7g}"
    return "" if value is None else str(value)


class _Item(QTreeWidgetItem):
    """A row that is sorted by the number at the beginning of a cell, or else by its text."""

    def __lt__(self, other: QTreeWidgetItem) -> bool:
        tree = self.treeWidget()
        column = tree.sortColumn() if tree is not None else 0
        mine, its = (_sort_key(each.text(column)) for each in (self, other))
        return mine < its


def _sort_key(text: str) -> tuple[int, float, str]:
    """Sort empty cells first, then texts, then numbers.

    Examples
    --------
    >>> sorted(["0.2087 ± 0.0001", "", "12.5", "LiF"], key=_sort_key)
    ['', 'LiF', '0.2087 ± 0.0001', '12.5']
    """
    try:
        return 2, float(text.split()[0]), ""
    except (ValueError, IndexError):
        return int(bool(text)), 0.0, text


@lru_cache(maxsize=64)
def _legible(name: str) -> str:
    """A text colour for dark and light backgrounds: the colour mixed with white or black."""
    colour = QColor(name)
    end = 255 if _luminance(colour) < LEGIBLE[0] else 0
    for share in np.linspace(0, 1, 21):
        mixed = QColor(*(round(level + share * (end - level)) for level in colour.getRgb()[:3]))
        if LEGIBLE[0] <= _luminance(mixed) <= LEGIBLE[1]:
            return str(mixed.name())
    return name


def _luminance(colour: QColor) -> float:
    """Relative luminance of a colour (sRGB), from 0 to 1."""
    levels = np.array(colour.getRgb()[:3]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _item(row: Row) -> QTreeWidgetItem:
    item = _Item(list(row.cells))
    item.setData(0, _KEY, row.key)
    if row.colour:
        item.setForeground(0, QBrush(QColor(_legible(row.colour))))
    for column in range(len(row.cells)):
        item.setToolTip(column, row.help)
    item.addChildren([_item(child) for child in row.children])
    return item
