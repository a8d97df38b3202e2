"""Where all commands start: what can be answered at once is, before the command line is
loaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

from churn.checkout import find_root
from orchestrator.plan import quick_answer


def main() -> None:
    """Be the console script `churn`, or `python orchestrator/flow.py`, which is `churn run`."""
    is_flow = Path(sys.argv[0]).name == "flow.py"
    words = ["run", *sys.argv[1:]] if is_flow else sys.argv[1:]
    root = find_root()
    if words[:1] == ["run"] and root and quick_answer.tell(root, words[1:]):
        sys.exit()
    from orchestrator import cli

    cli.main(alone="run" if is_flow else None)


if __name__ == "__main__":
    main()
