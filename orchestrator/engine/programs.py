"""Programs beside the notebooks: what needs MLflow or pandas, which take seconds to
import, is a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from orchestrator.project import Project, child_environment


def run_program(
    project: Project,
    module: str,
    words: Sequence[str],
    *,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = subprocess.PIPE,
    settings: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a module of the domain as a program, in the notebooks' folder, with further
    environment variables.
    """
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=project.notebooks,
        env=os.environ | child_environment(project.root) | {"PYTHONUTF8": "1"} | (settings or {}),
        stdout=stdout,
        stderr=stderr,
        encoding="utf-8",
        check=False,
    )
