"""Commands as another user of this machine, whom permissions hold for; only root can make one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

GROUP = 61_000
USERS = (61_001, 61_002)  # of that group; nobody needs to know them by name

# In a mount namespace of its own: where Python lies in a folder that is private to root, all
# else in that folder is hidden, and the rest of it open.
_OPENED = """\
mount --bind "$1" "$3" && mount -t tmpfs -o mode=755 tmpfs "$2" && mkdir -p "$1" && \
mount --move "$3" "$1" || exit 99; shift 3; """
_BECOME = (
    'umask "$1"; user=$2; shift 2; exec setpriv --reuid "$user" --regid {} --clear-groups "$@"'
)


def as_user(user: int, home: Path, *, umask: str = "022") -> list[str]:
    """Return what stands before a command that a user of `GROUP` gives, with the folder that
    becomes its home.
    """
    home.mkdir(exist_ok=True)
    os.chown(home, user, GROUP)
    become, open_python = _BECOME.format(GROUP), list[str]()
    python = Path(sys.base_prefix).resolve()
    if private := next((one for one in python.parents if not one.stat().st_mode & 0o001), None):
        aside = home.parent / "aside"
        aside.mkdir(exist_ok=True)
        open_python = [str(python), str(private), str(aside)]
        become = _OPENED + become
    nameless = ["-u", "USER", "-u", "LOGNAME", "-u", "LNAME", "-u", "USERNAME"]
    variables = [*nameless, f"HOME={home}", f"PREFECT_HOME={home / '.prefect'}"]
    namespace = ["unshare", "--mount"] if open_python else []
    shell = [*namespace, "sh", "-c", become, "sh", *open_python]
    return ["env", *variables, *shell, umask, str(user)]


def can_be_users(folder: Path) -> bool:
    """Whether commands can be given as other users."""
    if not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("setpriv")):
        return False
    words = [*as_user(USERS[0], folder / "home"), sys.executable, "-c", "import prefect"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def share(root: Path) -> None:
    """Let a folder be the group's: its members write to it, and new files become the group's."""
    subprocess.run(["chgrp", "-R", str(GROUP), str(root)], check=True)
    subprocess.run(["chmod", "-R", "g+rwX", str(root)], check=True)
    for folder in (root, *(one for one in root.rglob("*") if one.is_dir())):
        folder.chmod(0o2775)
