"""The program behind `churn init`: reads, drafts, writes, and tells each guess with its
evidence, how sure it is, and what to look at.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from churn import pandas_semantics  # noqa: F401  (sets pandas' semantics before anything reads)
from churn.draft.drafting import make_draft
from churn.draft.inactivity_guess import describe_candidates
from churn.draft.label_guess import describe_values
from churn.draft.named_inputs import DraftError, Project, Wishes, find_inputs
from churn.draft.params_writing import Draft, describe_key, write_params
from churn.draft.suspect_columns import Mark
from churn.draft.table_reading import Table
from churn.params import ParameterError, load_params
from churn.vocabulary import SURE

_WIDTH = 118
_MOST = 12  # lines of a kind


def main(arguments: Sequence[str]) -> int:
    """Draft a params file; return the exit code: 0 done, 1 no label found, 2 nothing to
    draft from, 130 stopped.
    """
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
    inputs, left_out = find_inputs(options.what, options.root)
    out = Path(options.out)
    if out.exists() and not options.force:
        raise DraftError(
            f"{out} exists already: choose another file with --out, or replace it with --force."
        )
    if not out.parent.is_dir():
        raise DraftError(f"There is no folder {out.parent} to write {out.name} into.")
    wishes = Wishes(options.label, options.id, options.as_of)
    draft = make_draft(inputs, left_out, wishes, Project(options.root, options.defaults))
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
        lines.append(
            f"Set the environment variable {name} to the secret of the address before a run."
        )
    if not draft.has_label:
        lines.append("No label was found. Candidates, by their names or their two values:")
        lines += [f"  - {line}" for line in draft.candidates[:12]] or ["  - none"]
        lines += [f"  - {line}" for line in describe_candidates(draft.offered)]
        lines.append(
            "Say which one it is: --label COLUMN=VALUE, where VALUE means `has churned`; or edit "
            "`label:` in the file."
        )
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
    parser.add_argument("--root", type=Path, required=True)  # of the project
    # The parameters that its notebooks declare: stage -> name -> value.
    parser.add_argument("--defaults", type=json.loads, default={})
    return parser


def tell(draft: Draft) -> Iterator[str]:
    """Yield the lines for the terminal."""
    for table in draft.tables:
        size = f"{table.count} rows, {len(table.columns)} columns"
        yield f"Looked at {table.shown}: {size}{_tell_sample(table)}."
    yield ""
    yield "Guessed"
    yield from _list(
        [
            *draft.joined,
            *_tell_reading(draft),
            *_tell_id(draft),
            *_tell_label(draft),
            *_tell_day(draft),
        ]
    )
    yield from _list([*_tell_joins(draft), *_tell_types(draft)])
    yield from _section("Left out", draft.left_out)
    yield from _section(
        "Suspects: no features until you allow them by name; the file says how to decide",
        [*(f"{name}: {why}" for name, why in draft.suspects.items()), *_tell_suspects(draft)],
    )
    yield from _section(
        "No features (`feature: false`, with the reason in the file)", _tell_useless(draft)
    )
    yield from _section("Look at", [*_tell_doubts(draft), *draft.look_at])


def _tell_sample(table: Table) -> str:
    """Say which part of a large table was looked at."""
    drawn = max((seen.rows for seen in table.columns.values()), default=0)
    read = f"; {len(table.frame):,} rows from all over it were read" if table.is_part else ""
    return read + (
        f"; types and ranges are those of {drawn:,} rows" if drawn < len(table.frame) else ""
    )


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from _list(lines)


def _list(lines: list[str]) -> Iterator[str]:
    shown = (
        lines
        if len(lines) <= _MOST + 2
        else [*lines[:_MOST], f"and {len(lines) - _MOST} more, see the file"]
    )
    for line in shown:
        yield textwrap.fill(
            line,
            _WIDTH,
            initial_indent="  - ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _tell_reading(draft: Draft) -> Iterator[str]:
    names = {one: one for one in ("delimiter", "encoding", "sheet", "format")}
    names["skip_rows"] = "lines above the table:"
    for table in draft.tables:
        told = [
            f"{what} {table.facts[name]!r}" for name, what in names.items() if name in table.facts
        ]
        told += (
            ["decimal comma"] if any(seen.decimal == "," for seen in table.columns.values()) else []
        )
        told += (
            ["no header: the columns are numbered"] if table.facts.get("header") is False else []
        )
        if told:
            yield f"{table.shown}: {', '.join(told)}"


def _tell_id(draft: Draft) -> Iterator[str]:
    key = draft.keys.first
    if key is None:
        yield "customer id: no column names a customer, so the rows are numbered"
    else:
        yield f"customer id: {key.column} ({describe_key(key, draft.first)})"


def _tell_label(draft: Draft) -> Iterator[str]:
    if draft.answer:
        answer = draft.answer
        seen = draft.seen(answer.table, answer.column)
        sure = "sure" if answer.strength >= SURE else "likely"
        same = f" (also {', '.join(answer.same)})" if answer.same else ""
        yield (
            f"label: {answer.column}, churned = {answer.positive}{same} ({describe_values(seen)}); "
            f"{sure}, "
            f"from {answer.why}"
        )
        if answer.rest:
            yield (
                f"{' and '.join(answer.rest)} of {answer.column} are neither: those customers are "
                "not learned from"
            )
    elif draft.ends and draft.horizon:
        horizon, begin = draft.horizon, f", begin {draft.ends.begin}" if draft.ends.begin else ""
        share = horizon.churned / max(horizon.customers, 1)
        yield (
            f"label: the end date {draft.ends.end} ({draft.ends.why}){begin}; churned = ends "
            f"within {horizon.days} "
            f"days from {horizon.as_of}: {horizon.churned:,} of {horizon.customers:,} customers "
            f"({share:.1%})"
        )
    elif found := draft.inactivity:
        share = found.churned / max(found.customers, 1)
        yield (
            f"label: inactivity; churned = {found.label}: {found.churned:,} of "
            f"{found.customers:,} customers ({share:.1%}); {found.why}"
        )


def _tell_day(draft: Draft) -> Iterator[str]:
    if draft.as_of is None:
        yield "as-of day: none; the data has no date that would need one"
    else:
        day = f"the column {draft.as_of}" if isinstance(draft.as_of, str) else f"{draft.as_of}"
        yield f"as-of day: {day} ({draft.as_of_why})"


def _tell_joins(draft: Draft) -> Iterator[str]:
    if len(draft.tables) > 1:
        yield f"{draft.first.name} has a row for each customer; the others are joined to it:"
    for key in draft.keys.others:
        facts = draft.joins[key.table]
        how = f"by {key.column}, {draft.told_of[key.table][0]}"
        how += f", in the order of {facts['time']}" if "time" in facts else ""
        yield f"{key.table} {how}"


def _tell_types(draft: Draft) -> Iterator[str]:
    kinds = Counter(seen.type for table in draft.tables for seen in table.columns.values())
    none = sorted(
        {text for table in draft.tables for seen in table.columns.values() for text in seen.none}
    )
    yield f"types: {kinds['number']} numbers, {kinds['category']} categories, {kinds['date']} dates"
    if none:
        yield f"taken for missing where they stand: {', '.join(map(repr, none[:10]))}"


def _list_out(draft: Draft, *, is_leak: bool) -> list[Mark]:
    out = [mark for marks in draft.marks.values() for mark in marks if mark.is_out]
    return [mark for mark in out if mark.is_leak == is_leak]


def _tell_suspects(draft: Draft) -> list[str]:
    return [f"{_place(draft, mark)}: {mark.why}" for mark in _list_out(draft, is_leak=True)]


def _tell_useless(draft: Draft) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for mark in _list_out(draft, is_leak=False):
        reasons.setdefault(mark.why, []).append(_place(draft, mark))
    return [
        f"{', '.join(names[:8])}{' …' if len(names) > 8 else ''}: {why}"
        for why, names in reasons.items()
    ]


def _tell_doubts(draft: Draft) -> Iterator[str]:
    for mark in (mark for marks in draft.marks.values() for mark in marks if not mark.is_out):
        yield f"{_place(draft, mark)}: {mark.why}"
    told = [
        mark.place[1]
        for marks in draft.marks.values()
        for mark in marks
        if mark.is_out and mark.is_told_by_score
    ]
    if told:
        yield (
            f"{', '.join(told[:5])}: if known before the answer, allow it by name, "
            f"`stages: {{transformation: {{allowed_columns: [{told[0]}]}}}}`"
        )
    for rival in draft.rivals:
        if not draft.marks.get((rival.table, rival.column)):
            yield f"{rival.column} may be the label too ({rival.why}): --label {rival.column}"
    for setting in draft.settings:
        if setting.to_look_at:
            yield f"{setting.stage}.{setting.name} is set to {setting.value}: {setting.why}"
    for table in draft.tables:
        for seen in table.columns.values():
            remarks = [one for one in seen.remarks if "may" in one or "cannot be read" in one]
            yield from (f"{seen.name}: {remark}" for remark in remarks)


def _place(draft: Draft, mark: Mark) -> str:
    return mark.place[1] if len(draft.tables) == 1 else ".".join(mark.place)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
