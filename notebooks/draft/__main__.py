"""The command behind `churn init`: reads, drafts, writes, and tells."""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import stagekit  # noqa: F401  (sets pandas' semantics before anything reads)
from draft.drafted import Draft, Wishes
from draft.drafting import make_draft
from draft.inputs import DraftError, find_inputs
from draft.telling import tell
from draft.writing import write_params
from params import ParameterError, load_params

_PROJECT = Path(__file__).resolve().parent.parent.parent


def main(arguments: Sequence[str]) -> int:
    """Draft a params file; return the exit code: 0 done, 1 no label found, 2 nothing to draft from, 130 stopped."""
    options = _parser().parse_args(arguments)
    warnings.simplefilter("ignore")  # of libraries, about files that are as they are
    try:
        return _draft(options)
    except (DraftError, ParameterError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _draft(options: argparse.Namespace) -> int:
    inputs, left_out = find_inputs(options.what, _PROJECT)
    out = Path(options.out)
    if out.exists() and not options.force:
        raise DraftError(f"{out} exists already: choose another file with --out, or replace it with --force.")
    if not out.parent.is_dir():
        raise DraftError(f"There is no folder {out.parent} to write {out.name} into.")
    draft = make_draft(inputs, left_out, Wishes(options.label, options.id, options.as_of), _PROJECT)
    _write(draft, out)
    print("\n".join(tell(draft)))
    print("\n".join(_closing(draft, out, Path(options.folder))))
    return 0 if draft.has_label else 1


def _write(draft: Draft, out: Path) -> None:
    """Write the file whole, once it is known to be one that a run can load."""
    beside = out.with_name(f".{out.name}.new")
    beside.write_text(write_params(draft), encoding="utf-8", newline="\n")
    try:
        if draft.has_label:
            load_params(beside)
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)


def _closing(draft: Draft, out: Path, folder: Path) -> list[str]:
    shown = os.path.relpath(out, folder) if out.is_relative_to(folder) else str(out)
    lines = ["", f"Written: {shown}"]
    for name in draft.variables:
        lines.append(f"Set the environment variable {name} to the secret of the address before a run.")
    if not draft.has_label:
        lines.append("No label was found. Candidates, by their names or their two values:")
        lines += [f"  - {line}" for line in draft.candidates[:12]] or ["  - none"]
        lines.append(
            "Say which one it is: --label COLUMN=VALUE, where VALUE means `has churned`; or edit `label:` in the file."
        )
        return lines
    flow = str(_PROJECT / "orchestrator" / "flow.py")
    if folder.is_relative_to(_PROJECT):
        flow = os.path.relpath(flow, folder)
    lines.append(f"Next: python {shlex.quote(Path(flow).as_posix())} --params {shlex.quote(Path(shown).as_posix())}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="churn init")
    parser.add_argument("what", nargs="+")
    parser.add_argument("--folder", default=os.getcwd())
    parser.add_argument("--out", required=True)
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--label")
    parser.add_argument("--id")
    parser.add_argument("--as-of", type=datetime.date.fromisoformat)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
