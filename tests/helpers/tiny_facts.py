"""The facts of a small data set with a history, and a label from a column instead."""

from __future__ import annotations

from typing import Any

FACTS: dict[str, Any] = {
    "name": "Tiny",
    "customer_id": "id",
    "label": {"end_date": "left", "horizon_days": 30},
    "sources": {
        "crm": {"file": "crm.csv"},
        "calls": {"file": "calls.csv", "many": True, "time": "day"},
    },
}
LABEL = {"label": {"column": "churned", "positive": "1"}}
