"""Icons of the tools, drawn in the colour of the theme's text."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

#: Side of an icon as it is drawn, and as it is shown, in pixels.
SIDE, SHOWN = 48, 22
_MIDDLE = QPointF(24, 24)


def tool_icon(tool: str, colour: str) -> QIcon:
    """Return the icon of a tool.

    Parameters
    ----------
    tool : str
        "look", "add", "remove", "angle", "line", "circle", "ring" or "wedge".
    colour : str
        "#RRGGBB".
    """
    picture = QPixmap(SIDE, SIDE)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(
        QPen(QColor(colour), 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    )
    faint = QColor(colour)
    faint.setAlpha(110)
    _draw(painter, tool, faint)
    painter.end()
    return QIcon(picture)


def _draw(painter: QPainter, tool: str, faint: QColor) -> None:
    match tool:
        case "look":
            painter.setBrush(faint)
            corners = [(14, 6), (14, 38), (22, 30), (28, 42), (33, 39), (27, 28), (38, 27)]
            painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in corners]))
        case "add" | "remove":
            painter.drawEllipse(_MIDDLE, 17, 17)
            painter.drawLine(QPointF(16, 24), QPointF(32, 24))
            if tool == "add":
                painter.drawLine(QPointF(24, 16), QPointF(24, 32))
        case "angle":
            painter.drawPolyline(QPolygonF([QPointF(40, 40), QPointF(8, 40), QPointF(32, 8)]))
            painter.drawArc(QRectF(-12, 20, 40, 40), 0, 53 * 16)
        case "line":
            painter.drawLine(QPointF(10, 38), QPointF(38, 10))
            for x, y in ((10, 38), (38, 10)):
                painter.drawLine(QPointF(x - 6, y - 6), QPointF(x + 6, y + 6))
        case "circle":
            painter.setBrush(faint)
            painter.drawEllipse(_MIDDLE, 16, 16)
        case "ring":
            ring = QPainterPath()
            ring.addEllipse(_MIDDLE, 18, 18)
            ring.addEllipse(_MIDDLE, 9, 9)
            painter.fillPath(ring, faint)
            painter.drawPath(ring)
        case "wedge":
            sector = QPainterPath()
            sector.arcMoveTo(QRectF(-32, 4, 74, 74), 5)
            sector.arcTo(QRectF(-32, 4, 74, 74), 5, 75)
            sector.arcTo(QRectF(-10, 26, 30, 30), 80, -75)
            sector.closeSubpath()
            painter.fillPath(sector, faint)
            painter.drawPath(sector)
