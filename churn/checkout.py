"""Which project is at hand: the one in which the user stands, whichever is installed.

Imports the standard library alone: the packages ask it before anything else is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "CHURN_PROJECT"  # names the project's folder, wherever the user stands


def find_root(start: Path | None = None) -> Path | None:
    """Return the root of the project that `CHURN_PROJECT` names, or else of the nearest
    at or above a folder, by default the working directory.

    A project is a folder with `notebooks/` and `params.yaml`.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named).resolve()
    try:
        here = (start or Path.cwd()).resolve()
    except OSError:  # the working directory was removed
        return None
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "params.yaml").is_file():
            return folder
    return None


def code_at_hand(package: str, installed: list[str]) -> list[str]:
    """Return where a package's modules lie: in the project at hand, if that is a checkout
    with code of its own, else where the package was installed.
    """
    root = find_root()
    own = root / package if root else None
    return [str(own)] if own and (own / "__init__.py").is_file() else installed
