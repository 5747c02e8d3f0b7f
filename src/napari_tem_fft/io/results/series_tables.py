"""A series as tables: a row a frame, a row a grain and frame; units stand in the column names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...core.series import Series, SeriesFrame, component_names
from .tables import write_rows

#: Columns of every frame; four columns for each component follow.
FRAME_COLUMNS = ("frame", "time_s", "spots", "grains", "specimen_nm2", "drift_x_nm", "drift_y_nm", "problem")
GRAIN_COLUMNS = (
    "track", "frame", "time_s", "grain", "component", "x_nm", "y_nm", "area_nm2", "area_sigma_nm2",
    "diameter_nm",
)  # fmt: skip


def write_frames(path: Path, series: Series, interval: float = 0.0) -> None:
    """Write one row a frame: area and share of each component with their standard uncertainties."""
    names = component_names(series.frames)
    own = [f"{name} {what}" for name in names for what in _OF_COMPONENT]
    rows = [frame_record(frame, names, interval) for frame in series.frames]
    write_rows(path, (*FRAME_COLUMNS[:-1], *own, FRAME_COLUMNS[-1]), rows)


def write_tracks(path: Path, series: Series, interval: float = 0.0) -> None:
    """Write one row a grain and frame, the same crystal under one "track" in all frames."""
    write_rows(path, GRAIN_COLUMNS, track_records(series, interval))


_OF_COMPONENT = ("area_nm2", "area_sigma_nm2", "fraction", "fraction_sigma")


def frame_record(frame: SeriesFrame, names: Sequence[str], interval: float = 0.0) -> dict[str, Any]:
    """What is known of a frame as plain values by column.

    Parameters
    ----------
    names : sequence of str
        All components of the series; one that the frame has not has no area there.
    interval : float, s
        Time between frames; 0 where it is not known.
    """
    record: dict[str, Any] = {"frame": frame.frame, "time_s": frame.frame * interval if interval else ""}
    if frame.problem:
        return {**record, "problem": frame.problem}
    drift_y, drift_x = frame.drift if frame.drift is not None else ("", "")
    record |= {"spots": frame.spots, "grains": frame.grains, "specimen_nm2": frame.specimen}
    record |= {"drift_x_nm": drift_x, "drift_y_nm": drift_y}
    for name in names:
        values = (*frame.areas.get(name, (0.0, 0.0)), *frame.fraction(name))
        record |= {f"{name} {what}": float(value) for what, value in zip(_OF_COMPONENT, values, strict=True)}
    return {**record, "problem": ""}


def track_records(series: Series, interval: float = 0.0) -> Iterator[dict[str, Any]]:
    """One record a grain and frame, in the order of tracks."""
    rows = [
        (track, frame.frame, grain)
        for frame, tracks in zip(series.frames, series.tracks, strict=True)
        for track, grain in zip(tracks, frame.crystals, strict=True)
    ]
    for track, number, grain in sorted(rows, key=lambda row: row[:2]):
        values = (
            track, number, number * interval if interval else "", grain.id, grain.component, grain.centre[1],
            grain.centre[0], grain.area, grain.area_sigma, grain.diameter,
        )  # fmt: skip
        yield dict(zip(GRAIN_COLUMNS, values, strict=True))
