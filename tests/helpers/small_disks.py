"""Small disks of one's own, where this user may mount them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def can_mount() -> bool:
    """Whether this user may mount a disk of their own, seen by one process only."""
    if not (shutil.which("unshare") and sys.platform == "linux"):
        return False
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(
    not can_mount(), reason="no permission to mount a small disk (Linux, root)"
)


def run_on_small_disk(
    root: Path, folders: dict[str, int], script: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a shell script in the project, with folders of it on disks of so many bytes
    that hold what was in them.

    It sets `ended`, the exit code. What the disks hold in the end is copied to `<folder>.after`.
    """
    lines = ["set -e"]
    for name, size in folders.items():
        folder = root / name
        folder.mkdir(exist_ok=True)
        lines += [
            f"cp -a {name} {name}.before",
            f"mount -t tmpfs -o size={size} none {name}",
            f"cp -a {name}.before/. {name}/",
        ]
    lines += ["set +e", "ended=0", script]
    lines += [f"cp -a {name} {name}.after" for name in folders]
    command = ["unshare", "-m", "sh", "-c", "\n".join([*lines, "exit $ended"])]
    environment = os.environ | {"PYTHONPATH": str(root)} | env
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
