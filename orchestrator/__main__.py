"""Where all commands start: what can be answered at once is, before the command line is loaded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from orchestrator import unchanged
from orchestrator.paths import PROJECT


def run(options: Sequence[str]) -> NoReturn:
    """Be `python orchestrator/flow.py`: the command `run`, without its name."""
    if unchanged.tell(PROJECT.root, options):
        sys.exit()
    from orchestrator.cli import run_command

    run_command()


def main() -> None:
    """Be the console script `churn`."""
    if sys.argv[1:2] == ["run"] and unchanged.tell(PROJECT.root, sys.argv[2:]):
        sys.exit()
    from orchestrator import cli

    cli.main()


if __name__ == "__main__":
    main()
