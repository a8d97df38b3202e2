"""Where a run's time went, from its record and its reports."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def read_timeline(root: Path, start: float, end: float) -> dict[str, Any]:
    """Return the seconds of each part of the only run in a copy, whose process lived
    from `start` to `end`.
    """
    (file,) = root.glob("outputs/runs/*/run.json")
    stages = json.loads(file.read_text(encoding="utf-8"))["stages"]
    begun, ended = ([_moment(stage[key]) for stage in stages] for key in ("started_at", "ended_at"))
    return {
        "before the first stage": begun[0] - start,
        "stages": {stage["name"]: _split_stage(stage, file.parent) for stage in stages},
        "between stages": sum(
            later - earlier for earlier, later in zip(ended, begun[1:], strict=False)
        ),
        "after the last stage": end - ended[-1],
    }


def _split_stage(stage: dict[str, Any], folder: Path) -> dict[str, float]:
    cells = json.loads((folder / stage["report"]).read_text(encoding="utf-8"))["cells"]
    told = [cell["metadata"].get("papermill", {}) for cell in cells if cell["cell_type"] == "code"]
    told = [cell for cell in told if cell.get("start_time")]
    return {
        "to first cell": _moment(told[0]["start_time"]) - _moment(stage["started_at"]),
        "cells": sum(cell["duration"] for cell in told),
        "after last cell": _moment(stage["ended_at"]) - _moment(told[-1]["end_time"]),
    }


def _moment(text: str) -> float:
    """Return the time in seconds of a text in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
