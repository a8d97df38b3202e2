"""Turns off the usage statistics of all packages; import it before them, for some read their settings only then."""

from __future__ import annotations

import os

for _name, _value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "FEAST_USAGE": "False",
    "DVC_NO_ANALYTICS": "1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}.items():
    os.environ.setdefault(_name, _value)
