"""Small pieces of which the docks' forms are made."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget


def button(text: str, help: str) -> QPushButton:
    """Return a button with a tooltip."""
    made = QPushButton(text)
    made.setToolTip(help)
    return made


def fill_row(row: QHBoxLayout, *widgets: QWidget) -> QHBoxLayout:
    """Put widgets side by side into a row without margins; returns the row."""
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return row


def side_by_side(*widgets: QWidget) -> QWidget:
    """Return widgets in a row, as one."""
    box = QWidget()
    fill_row(QHBoxLayout(box), *widgets)
    return box
