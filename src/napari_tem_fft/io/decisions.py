"""What a person has decided on the phases of grains: kept in results, and given on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..core.matching import Decision, DecisionKind
from ..core.phase_choice import find_phase
from ..core.phases import Phase
from .plain import from_plain
from .results import ANALYSIS


def stored_decisions(folder: str | Path, file_hash: str) -> tuple[Decision, ...]:
    """The decisions in the results of an earlier analysis of the same file; none where there are none."""
    try:
        stored = json.loads((Path(folder) / ANALYSIS).read_text(encoding="utf-8"))
        same = bool(file_hash) and stored["micrograph"]["sha256"] == file_hash
        return from_plain(tuple[Decision, ...], stored.get("decisions", [])) if same else ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def read_decisions(kind: DecisionKind, texts: Iterable[str], table: Sequence[Phase]) -> tuple[Decision, ...]:
    """Decisions from "GRAIN=PHASE", such as "3=Cu".

    Raises
    ------
    ValueError
        If a text is something else, or there is no such phase.
    """
    return tuple(_decision(kind, text, table) for text in texts)


def _decision(kind: DecisionKind, text: str, table: Sequence[Phase]) -> Decision:
    grain, _, name = text.partition("=")
    if not grain.strip().isdecimal() or not name.strip():
        raise ValueError(f"{text!r} is not a grain's number and a phase, such as 3=Cu")
    return Decision(int(grain), find_phase(table, name.strip()).id, kind)
