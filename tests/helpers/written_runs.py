"""Records of runs that no notebook was executed for."""

from __future__ import annotations

import datetime
from typing import Any

from helpers.own_graph import STAGES
from orchestrator.records.record import RunRecord

NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def make_record(run_id: str = "2026-01-31-120000-0001", **facts: Any) -> RunRecord:
    """Return the record of a run that completed in 90 seconds; `stages` names the
    statuses of the first stages.
    """
    statuses = [*facts.pop("stages", ["completed"] * 6), *["not_run"] * 6][:6]
    stages = [
        {"name": stage.name, "notebook": stage.notebook, "status": status}
        for stage, status in zip(STAGES, statuses, strict=True)
    ]
    stages[-1]["results"] = facts.pop("results", {})
    return RunRecord.model_validate(
        {
            "run_id": run_id,
            "status": "completed",
            "started_at": NOON,
            "ended_at": NOON + datetime.timedelta(seconds=90),
            "command": "churn run",
            "git": None,
            "environment": {"python": "3.11", "lock_sha256": ""},
            "params_file": "params.yaml",
            "params_sha256": "",
            "stages": stages,
        }
        | facts
    )
