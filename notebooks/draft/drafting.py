"""From tables to a draft: who the customer is, what the answer is, how the tables join, what is suspect."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

import leakage
from draft import words
from draft.columns import Seen
from draft.dates import ISO
from draft.drafted import Draft, Wishes
from draft.horizon import Ends, choose_horizon, find_begin, find_ends
from draft.inputs import Input
from draft.joining import describe_joins, join, keep_names_apart
from draft.keys import find_repeated, has_row_a_customer
from draft.labels import LIKELY, SURE, Answer, choose_answer, find_answers, find_column, list_candidates
from draft.marks import Mark, mark_late, mark_leaks, mark_pairs, mark_useless, measure
from draft.naming import choose_name
from draft.parts import join_parts, look_at_tables
from draft.population import Place, Population, draw_population
from draft.reading import Table, read_tables
from draft.thresholds import default, doubt_model, find_settings
from draft.workbooks import describe_names


def make_draft(inputs: list[Input], left_out: list[str], wishes: Wishes, root: Path) -> Draft:
    """Look at everything that was named, and draft what `params.yaml` says of it.

    Raises:
        DraftError: nothing can be read, or a wish names what is not there.
    """
    read, unread = read_tables(inputs, root)
    tables, joined, parts_out = join_parts(read, root)
    look_at_tables(tables)
    tables, dictionaries = _part_dictionaries(tables)
    answers = [choose_answer(tables, wishes.label)] if wishes.label and not _names_date(tables, wishes) else []
    of_customers = [table for table in tables if len(tables) == 1 or has_row_a_customer(table)]
    answers = answers or find_answers(of_customers or tables)
    if wishes.id:
        find_column(tables, wishes.id, "--id")
    draft = join(tables, answers, find_ends(of_customers), wishes)
    keep_names_apart(draft, root)
    wanted, draft.joined = _name(inputs, draft), joined
    draft.name = choose_name(wanted, inputs, tables, root)
    draft.left_out = [*left_out, *unread, *parts_out, *dictionaries, *draft.left_out]
    draft.variables = sorted({variable for one in inputs for variable in one.variables})
    describe_joins(draft)
    if repeated := find_repeated(draft.first, draft.keys.first):
        draft.look_at.append(_ask_for_customers(draft.first, repeated))
    if draft.name != wanted:
        draft.look_at.append(f"name: {draft.name}, for what is normal for {wanted} was learned from another data set")
    _choose_label(draft, answers, wishes)
    _choose_day(draft, wishes)
    _suspect(draft)
    return draft


def _ask_for_customers(table: Table, seen: Seen) -> str:
    """Ask for a table with a row for each customer, where the rows of the first are perhaps their events."""
    return (
        f"{seen.name}: {seen.distinct:,} values in {seen.filled:,} rows. If it names the customers, the rows of "
        f"{table.shown} are their events: make a file with one row a customer ({seen.name}, the answer), and name it "
        "too"
    )


def _names_date(tables: Sequence[Table], wishes: Wishes) -> bool:
    """Whether `--label` names an end date."""
    named = (wishes.label or "").partition("=")[0]
    return any(
        seen.type == "date" and seen.name.casefold() == named.casefold() for t in tables for seen in t.columns.values()
    )


def _part_dictionaries(tables: list[Table]) -> tuple[list[Table], list[str]]:
    """Take out the tables that describe the columns of others, and let them do so."""
    kept, told = [], []
    for table in tables:
        others = [other for other in tables if other is not table]
        rows = [tuple(row) for row in table.frame.head(2_000).astype(object).to_numpy()] if others else []
        names = {name for other in others for name in other.columns}
        described = describe_names(rows, names) if table.rows < 2_000 and len(table.columns) <= 8 else {}
        if described:
            told.append(f"{table.shown}: it describes the columns of the others, which take their descriptions from it")
            for other in others:
                other.descriptions |= {name: text for name, text in described.items() if name in other.columns}
        else:
            kept.append(table)
    return kept or tables, told if kept else []


def _name(inputs: Sequence[Input], draft: Draft) -> str:
    if len(inputs) == 1 and inputs[0].kind == "file":
        return Path(inputs[0].address).name.split(".")[0].replace("_", " ")
    if all(one.kind == "file" for one in inputs):
        folders = {Path(one.address).parent.name for one in inputs}
        return (folders.pop() if len(folders) == 1 else draft.first.name).replace("_", " ")
    return draft.first.name.replace("_", " ")


def _choose_label(draft: Draft, answers: Sequence[Answer], wishes: Wishes) -> None:
    """Take the likeliest answer: a column that says so, else an end date, else a column that may say so."""
    of_customers = [table for table in draft.tables if not draft.joins.get(table.name, {}).get("many")]
    names = {table.name for table in of_customers}
    usable = [one for one in answers if one.table in names]
    ends = find_ends(of_customers)
    if wishes.label and _names_date(draft.tables, wishes):
        ends = _wished_ends(draft.tables, wishes.label)
        usable = []
    best = usable[0] if usable else None
    is_said = best is not None and (bool(wishes.label) or (best.strength >= SURE and not _only_status(best)))
    if best and (is_said or not ends or not ends.begin):
        draft.answer = best
        draft.rivals = [one for one in usable[1:] if one.strength >= max(best.strength - 1, LIKELY)]
    elif ends:
        draft.ends = ends
    else:
        draft.candidates = list_candidates(draft.tables)


def _only_status(answer: Answer) -> bool:
    """Whether a column tells the state of today, so that an end date beside it says more."""
    name = words.plain(answer.column)
    return bool(words.STATUS.search(name) or words.STAYING.search(name)) and not words.LEAVING.search(name)


def _wished_ends(tables: Sequence[Table], wish: str) -> Ends:
    table, seen = find_column(tables, wish.partition("=")[0], "--label")
    dated = [one for one in table.columns.values() if one.type == "date" and one is not seen]
    return Ends(table.name, seen.name, find_begin(table, seen, dated), "as --label says")


def _choose_day(draft: Draft, wishes: Wishes) -> None:
    key, first = draft.keys.first, draft.first
    if draft.ends:
        table = next(table for table in draft.tables if table.name == draft.ends.table)
        draft.horizon = choose_horizon(table, draft.ends, _last_days(draft, draft.ends), wishes.as_of)
        draft.as_of, draft.as_of_why = draft.horizon.as_of, draft.horizon.why
        if not draft.horizon.is_enough:
            told = f"{draft.horizon.churned:,} of {draft.horizon.customers:,} customers"
            draft.look_at.append(f"only {told} end within the horizon: are begin, end and day the right ones?")
    elif wishes.as_of:
        draft.as_of, draft.as_of_why = wishes.as_of, "as --as-of says"
    elif key and key.months:
        days = first.columns[key.months].distinct
        draft.as_of, draft.as_of_why = key.months, f"each row is a customer on one of {days:,} days"
        draft.look_at += _ask_for_day(draft, first.columns[key.months])
    elif part := first.facts.get("part_column"):
        draft.as_of, draft.as_of_why = str(part), "each file is a snapshot of another day"
    elif draft.answer and (last := max(_last_days(draft, None), default=None)) is not None:
        draft.as_of = (last + pd.Timedelta(days=1)).date()
        draft.as_of_why = "the day after the last date in the data; earlier if the answer was still open then"


def _ask_for_day(draft: Draft, seen: Seen) -> Iterator[str]:
    """Ask when in the month a snapshot was taken, where other tables tell what happened during it."""
    timed = [name for name, facts in draft.joins.items() if "time" in facts]
    if timed and "%d" not in seen.format and seen.format not in (ISO, "ISO8601"):
        yield (
            f"{seen.name}: {seen.counts.index[0]} is read as the first day of that month, before which a row of "
            f"{' or '.join(timed)} has to lie to be used. If the snapshot is of the month's end, write that day instead"
        )


def _last_days(draft: Draft, ends: Ends | None) -> list[pd.Timestamp]:
    """Return the last day that each date column knows of, but for ends and days that are only planned."""
    found = []
    for table in draft.tables:
        for seen in table.columns.values():
            is_end = words.END.search(seen.words) or words.PLANNED.search(seen.words)
            if seen.type == "date" and seen.filled and not (is_end or (ends and seen.name in (ends.end, ends.begin))):
                weighted = seen.weighted.dropna()
                if len(weighted):
                    found.append(pd.Timestamp(weighted.sort_values().iloc[int(0.999 * len(weighted))]).normalize())
    return found


def _suspect(draft: Draft) -> None:
    """Mark what must not become a feature, and find the settings that the data needs."""
    gate = default("transformation", "max_single_auc", 0.92)
    drawn = draw_population(draft.tables, draft.keys, draft.answer, draft.ends, draft.horizon)
    if drawn is not None and (ended := list(_find_ends_only(drawn, gate))):
        _leave_out(draft, ended)
        drawn = draw_population(draft.tables, draft.keys, draft.answer, draft.ends, draft.horizon)
    ids = {table.name: draft.id_of(table) or "" for table in draft.tables}
    answers = _answer_places(draft)
    _mark(draft, [mark for mark in mark_useless(draft.tables, ids) if mark.place not in answers])
    if draft.ends:
        told = "tells who has left by today, not on the as-of day"
        states = find_answers(draft.tables)
        _mark(draft, [Mark((one.table, one.column), told, is_out=True, is_leak=True) for one in states])
    if drawn is None or drawn.churned.nunique() < 2:
        return
    times = {(name, str(facts["time"])) for name, facts in draft.joins.items() if "time" in facts}  # later rows are cut
    if isinstance(draft.as_of, datetime.date):
        _mark(draft, [mark for mark in mark_late(draft.tables, draft.as_of) if mark.place not in answers | times])
    _mark(draft, [mark for mark in mark_leaks(draft.tables, drawn, gate) if mark.place not in answers])
    draft.look_at += _judge_rows(drawn, gate)
    _mark(draft, mark_pairs(draft.tables, drawn, _features(draft, drawn)))
    draft.settings += find_settings(draft.tables, draft.keys, draft.answer, drawn.all, drawn.all_churned)
    kept = _features(draft, drawn)
    if kept and (doubt := doubt_model(*measure(drawn, kept))):
        draft.look_at.append(doubt)


def _find_ends_only(drawn: Population, gate: float) -> Iterator[str]:
    """Yield the tables in which those who left have a row, and hardly anybody else: cancellations, exit interviews."""
    for table in drawn.rows.columns:
        has_row = drawn.rows[table] > 0
        left = drawn.churned[has_row].mean() > drawn.churned[~has_row].mean()
        if left and leakage.separate(has_row.astype("float64"), drawn.churned) > gate:
            yield table


def _leave_out(draft: Draft, names: Sequence[str]) -> None:
    for table in [table for table in draft.tables if table.name in names]:
        draft.tables.remove(table)
        draft.keys.others = [key for key in draft.keys.others if key.table != table.name]
        draft.joins.pop(table.name, None)
        draft.left_out.append(
            f"{table.shown}: those who left have a row there, and hardly anybody else: it tells the answer"
        )


def _judge_rows(drawn: Population, gate: float) -> Iterator[str]:
    """Yield the tables whose number of rows a customer tells the answer too well."""
    for table in drawn.rows.columns:
        auc = leakage.separate(drawn.rows[table], drawn.churned)
        if auc > gate:
            yield (
                f"{table}: how many rows a customer has there tells the answer (AUC {auc:.3f}): do they go on until "
                "today, and is as_of earlier?"
            )


def _answer_places(draft: Draft) -> set[tuple[str, str]]:
    """Return the columns that the answer comes from."""
    if draft.answer:
        return {(draft.answer.table, draft.answer.column)}
    return {(draft.ends.table, name) for name in (draft.ends.end, draft.ends.begin) if name} if draft.ends else set()


def _mark(draft: Draft, marks: Iterable[Mark]) -> None:
    for mark in marks:
        known = draft.marks.setdefault(mark.place, [])
        if not any(one.is_out for one in known):
            known.append(mark)


def _features(draft: Draft, drawn: Population) -> list[tuple[str, str]]:
    """Return the columns that become features (of a date the days since then): no ids, no answers, none marked."""
    answers = _answer_places(draft)
    out: set[Place] = {place for place, marks in draft.marks.items() if any(mark.is_out for mark in marks)}
    ids: set[Place] = {(table.name, draft.id_of(table) or "") for table in draft.tables}
    most = int(default("transformation", "max_categories", 100))
    return [
        place
        for place in drawn.places
        if place not in answers | out | ids
        and ((seen := draft.seen(*place)).type != "category" or seen.distinct <= most)
    ]
