"""Turns off the usage statistics of all packages, lets connections within this machine go past
any proxy, and names the user; import it before the packages, for some read their settings only
then.

Programs and kernels that are started from here inherit it.
"""

from __future__ import annotations

import getpass
import os

LOOPBACK = ("127.0.0.1", "localhost", "::1")

for _name, _value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "FEAST_USAGE": "False",
    "DVC_NO_ANALYTICS": "1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}.items():
    os.environ.setdefault(_name, _value)


def _pass_proxies() -> None:
    """A company's proxy answers for this machine with an error page, or not at all."""
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    named = [name.strip() for name in spared.split(",") if name.strip()]
    if "*" in named:
        return
    text = ",".join([*named, *(host for host in LOOPBACK if host not in named)])
    os.environ |= {"no_proxy": text, "NO_PROXY": text}


def _name_user() -> None:
    """DVC and MLflow ask for the user's name; in a container a user may be a mere number."""
    try:
        getpass.getuser()
    except (OSError, KeyError, ImportError):
        os.environ["USER"] = str(getattr(os, "getuid", lambda: "unknown")())


_pass_proxies()
_name_user()
