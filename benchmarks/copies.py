"""Empty copies of the project, in which the benchmarks run: without data and outputs,
as on a new machine.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_MADE_ANYWHERE = (".git", ".venv", "outputs", "made*", "[!.]*.dvc", "cache", "tmp", "__pycache__")
_DATASETS = ("raw", "validated", "prepared", "features")  # in data/; churn/features is code


def _made_by_runs(folder: str, names: list[str]) -> set[str]:
    """Return which of the names in a folder are made by runs, for `shutil.copytree`."""
    made = _MADE_ANYWHERE + (_DATASETS if Path(folder) == ROOT / "data" else ())
    return shutil.ignore_patterns(*made)(folder, names)


@contextlib.contextmanager
def project_copy() -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield the root of a copy, its code compiled, and the environment of its
    processes; delete it afterwards.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder, "project")
        shutil.copytree(ROOT, root, ignore=_made_by_runs)
        for code in ("orchestrator", "churn"):
            compileall.compile_dir(root / code, quiet=1)
        yield root, environment(root, Path(folder, "prefect"))


def environment(root: Path, prefect_home: Path) -> dict[str, str]:
    """Return this process's environment with a copy's code and Prefect folder, without
    any Prefect server.
    """
    mine = os.environ | {
        "PYTHONPATH": str(root),
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    mine.pop("PREFECT_API_URL", None)
    return mine
