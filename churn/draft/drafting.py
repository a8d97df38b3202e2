"""From tables to a draft: who the customer is, what the answer is, how the tables join,
what is suspect.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from churn import vocabulary
from churn.baseline import FOLDER, BaselineError, read_schema, slug
from churn.draft.column_types import ISO, Seen, look_at
from churn.draft.file_dialect import describe_names
from churn.draft.horizon_guess import Ends, choose_horizon, find_begin, find_ends
from churn.draft.inactivity_guess import Inactivity, find_inactivity
from churn.draft.keys_and_joins import (
    find_repeated,
    has_row_a_customer,
    has_several_rows_a_customer,
    join,
)
from churn.draft.label_guess import Answer, choose_answer, find_answers, list_candidates
from churn.draft.named_inputs import Input, Project, Wishes
from churn.draft.params_writing import Draft, doubt_model, find_settings
from churn.draft.suspect_columns import (
    Mark,
    Place,
    Population,
    draw_population,
    find_outcome_tables,
    gate_of,
    judge_rows,
    mark_histories,
    mark_late,
    mark_leaks,
    mark_pairs,
    mark_useless,
    measure,
)
from churn.draft.table_reading import Table, find_column, join_parts, read_tables
from churn.leakage import outcome_signs
from churn.vocabulary import LIKELY, SURE

_SAME = 0.5  # share of the accepted columns that a data set has to have to be the same one


def make_draft(inputs: list[Input], left_out: list[str], wishes: Wishes, project: Project) -> Draft:
    """Look at everything that was named, and draft what `params.yaml` says of it.

    Args:
        inputs: what was named.
        left_out: a line for each file that was not looked at; they are told.
        wishes: what is not to be guessed.
        project: whose names are taken, and whose stages have limits.

    Raises:
        DraftError: nothing can be read, or a wish names what is not there.
    """
    read, unread = read_tables(inputs, project.root)
    tables, put_together, parts_out = join_parts(read, project.root)
    for table in tables:
        table.columns = look_at(table.frame, has_semicolons=table.facts.get("delimiter") == ";")
    tables, dictionaries = _part_dictionaries(tables)
    answers, ends = _find_answers(tables, wishes)
    answer_in = answers[0].table if answers else ends.table if ends else None
    joined = join(tables, answer_in, project, wishes.id)
    wanted = _name(inputs, joined.tables[0])
    draft = Draft(
        name=choose_name(wanted, inputs, tables, project.root),
        tables=joined.tables,
        keys=joined.keys,
        joins=joined.facts,
        told_of=joined.told_of,
        joined=put_together,
        left_out=[*left_out, *unread, *parts_out, *dictionaries, *joined.left_out],
        look_at=[f"{table.shown} {note}" for table in joined.tables for note in table.notes],
        variables=sorted({variable for one in inputs for variable in one.variables}),
        most_levels=_most_levels(project),
    )
    _choose_label(draft, answers, wishes)
    draft.look_at += _ask_of_tables(draft, wanted)
    _choose_day(draft, wishes)
    _suspect(draft, project)
    return draft


def _ask_of_tables(draft: Draft, wanted: str) -> Iterator[str]:
    """Ask whether the rows of the first table are customers, and tell a name that is not
    the one that was wanted, for it is taken.
    """
    repeated = find_repeated(draft.first, draft.keys.first)
    if draft.group:
        seen = draft.first.columns[draft.group]
        yield (
            f"{seen.name}: {seen.distinct:,} values in {seen.filled:,} rows. Each row is learned "
            "from, and those of one value stay together in every split, interval and count; "
            "`group` says so. If a date tells them apart, name it as `as_of: {column: NAME}`"
        )
    elif repeated:
        yield _ask_for_customers(draft.first, repeated)
    if draft.name != wanted:
        yield (
            f"name: {draft.name}, for what is normal for {wanted} was learned from another data set"
        )


def _find_answers(tables: list[Table], wishes: Wishes) -> tuple[list[Answer], Ends | None]:
    """Return the columns that may be the answer, and the end date that may be it, of the
    tables that have a row for each customer; neither where `--label` names a table.
    """
    answers = []
    named_so = [table.name for table in tables if table.name == wishes.label]
    if wishes.label and not named_so and not _names_date(tables, wishes):
        answers = [choose_answer(tables, wishes.label)]
    of_customers = [table for table in tables if len(tables) == 1 or has_row_a_customer(table)]
    if wishes.id:
        find_column(tables, wishes.id, "--id")
    if named_so:
        return [], None
    ends, answers = find_ends(of_customers), answers or find_answers(of_customers or tables)
    if not answers and not ends:
        answers = find_answers([table for table in tables if has_several_rows_a_customer(table)])
    return answers, ends


def _most_levels(project: Project) -> int:
    return int(project.default("transformation", "max_categories", 100))


def _ask_for_customers(table: Table, seen: Seen) -> str:
    """Ask for a table with a row for each customer, where the rows of the first are
    perhaps their events.
    """
    return (
        f"{seen.name}: {seen.distinct:,} values in {seen.filled:,} rows. If it names the "
        "customers, the rows of "
        f"{table.shown} are their events: make a file with one row a customer ({seen.name}, the "
        "answer), and name it "
        "too"
    )


def _names_date(tables: Sequence[Table], wishes: Wishes) -> bool:
    """Whether `--label` names an end date."""
    named = (wishes.label or "").partition("=")[0]
    return any(
        seen.type == "date" and seen.name.casefold() == named.casefold()
        for t in tables
        for seen in t.columns.values()
    )


def _part_dictionaries(tables: list[Table]) -> tuple[list[Table], list[str]]:
    """Take out the tables that describe the columns of others, and let them do so."""
    kept, told = [], []
    for table in tables:
        others = [other for other in tables if other is not table]
        rows = (
            [tuple(row) for row in table.frame.head(2_000).astype(object).to_numpy()]
            if others
            else []
        )
        names = {name for other in others for name in other.columns}
        described = (
            describe_names(rows, names) if table.rows < 2_000 and len(table.columns) <= 8 else {}
        )
        if described:
            told.append(
                f"{table.shown}: it describes the columns of the others, which take their "
                "descriptions from it"
            )
            for other in others:
                other.descriptions |= {
                    name: text for name, text in described.items() if name in other.columns
                }
        else:
            kept.append(table)
    return kept or tables, told if kept else []


def _name(inputs: Sequence[Input], first: Table) -> str:
    if len(inputs) == 1 and inputs[0].kind == "file":
        return Path(inputs[0].address).name.split(".")[0].replace("_", " ")
    if all(one.kind == "file" for one in inputs):
        folders = {Path(one.address).parent.name for one in inputs}
        return (folders.pop() if len(folders) == 1 else first.name).replace("_", " ")
    return first.name.replace("_", " ")


def _choose_label(draft: Draft, answers: Sequence[Answer], wishes: Wishes) -> None:
    """Take the likeliest answer: a column that says so, else an end date, else a column
    that may say so.
    """
    of_customers = [
        table for table in draft.tables if not draft.joins.get(table.name, {}).get("many")
    ]
    names = {table.name for table in of_customers}
    usable = [one for one in answers if one.table in names]
    is_table = wishes.label in [table.name for table in draft.tables]
    ends = None if is_table else find_ends(of_customers)
    if wishes.label and _names_date(draft.tables, wishes):
        ends = _wished_ends(draft.tables, wishes.label)
        usable = []
    best = usable[0] if usable else None
    is_said = best is not None and (
        bool(wishes.label) or (best.strength >= SURE and not _only_status(best))
    )
    if best and (is_said or not ends or not ends.begin):
        draft.answer = best
        draft.rivals = [one for one in usable[1:] if one.strength >= max(best.strength - 1, LIKELY)]
    elif ends:
        draft.ends = ends
    else:
        draft.candidates = list_candidates(draft.tables)
        _choose_inactivity(draft, wishes)


def _choose_inactivity(draft: Draft, wishes: Wishes) -> None:
    """Make the answer of inactivity where rows of a table are what customers come for, and
    nothing is called like an answer; else offer it.
    """
    found = find_inactivity(
        draft.tables, draft.keys.first, draft.keys.others, wishes.id, wishes.as_of
    )
    named = next((one for one in found if one.label.table == wishes.label), None)
    best = named or next((one for one in found if one.is_sure), None)
    if best is None or (named is None and _has_named(draft)):
        draft.offered = found
        return
    draft.inactivity = best
    draft.look_at += _ask_of_inactivity(best)
    if len(draft.tables) == 1:
        draft.keys.first = best.key
        draft.joins[best.key.table] = {"many": True, "time": best.time}


def _has_named(draft: Draft) -> bool:
    """Whether a column is called like an answer, though it is none as it stands."""
    columns = [seen for table in draft.tables for seen in table.columns.values()]
    return any(seen.distinct > 1 and vocabulary.LEAVING.search(seen.words) for seen in columns)


def _ask_of_inactivity(found: Inactivity) -> Iterator[str]:
    label = found.label
    yield (
        f"nothing says who has left, so whoever has no row in {label.table} for "
        f"{label.inactive_days} days counts as churned: is that so, and are these the right days?"
    )
    if not found.is_enough:
        told = f"{found.churned:,} of {found.customers:,} customers"
        yield f"{told} churn so: too few of a kind for a good model"


def _only_status(answer: Answer) -> bool:
    """Whether a column tells the state of today, so that an end date beside it says more."""
    name = vocabulary.plain(answer.column)
    return bool(
        vocabulary.STATUS.search(name) or vocabulary.STAYING.search(name)
    ) and not vocabulary.LEAVING.search(name)


def _wished_ends(tables: Sequence[Table], wish: str) -> Ends:
    table, seen = find_column(tables, wish.partition("=")[0], "--label")
    dated = [one for one in table.columns.values() if one.type == "date" and one is not seen]
    return Ends(table.name, seen.name, find_begin(table, seen, dated), "as --label says")


def _choose_day(draft: Draft, wishes: Wishes) -> None:
    key, first = draft.keys.first, draft.first
    if draft.ends:
        table = next(table for table in draft.tables if table.name == draft.ends.table)
        draft.horizon = choose_horizon(
            table, draft.ends, _last_days(draft, draft.ends), wishes.as_of
        )
        draft.as_of, draft.as_of_why = draft.horizon.as_of, draft.horizon.why
        if not draft.horizon.is_enough:
            told = f"{draft.horizon.churned:,} of {draft.horizon.customers:,} customers"
            draft.look_at.append(
                f"only {told} end within the horizon: are begin, end and day the right ones?"
            )
    elif draft.inactivity:
        draft.as_of = draft.inactivity.as_of
        draft.as_of_why = "the horizon ends with the last row"
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
        draft.as_of_why = (
            "the day after the last date in the data; earlier if the answer was still open then"
        )


def _ask_for_day(draft: Draft, seen: Seen) -> Iterator[str]:
    """Ask when in the month a snapshot was taken, where other tables tell what happened
    during it.
    """
    timed = [name for name, facts in draft.joins.items() if "time" in facts]
    if timed and "%d" not in seen.format and seen.format not in (ISO, "ISO8601"):
        yield (
            f"{seen.name}: {seen.counts.index[0]} is read as the first day of that month, before "
            "which a row of "
            f"{' or '.join(timed)} has to lie to be used. If the snapshot is of the month's end, "
            "write that day instead"
        )


def _last_days(draft: Draft, ends: Ends | None) -> list[pd.Timestamp]:
    """Return the last day that each date column knows of, but for ends and days that
    are only planned.
    """
    found = []
    for table in draft.tables:
        for seen in table.columns.values():
            is_end = vocabulary.END.search(seen.words) or vocabulary.PLANNED.search(seen.words)
            if (
                seen.type == "date"
                and seen.filled
                and not (is_end or (ends and seen.name in (ends.end, ends.begin)))
            ):
                weighted = seen.weighted.dropna()
                if len(weighted):
                    found.append(
                        pd.Timestamp(
                            weighted.sort_values().iloc[int(0.999 * len(weighted))]
                        ).normalize()
                    )
    return found


def _suspect(draft: Draft, project: Project) -> None:
    """Mark what must not become a feature, and find the settings that the data needs."""
    drawn = _draw(draft)
    _suspect_tables(draft, drawn)
    _mark(draft, mark_useless(draft.tables, _ids(draft)))
    histories = [name for name, facts in draft.joins.items() if facts.get("many")]
    _mark(draft, mark_histories(draft.tables, histories))
    if draft.ends:
        told = "tells who has left by today, not on the as-of day"
        for state in find_answers(draft.tables):
            place = (state.table, state.column)
            _mark(draft, [Mark(place, told, is_out=True, is_leak=True)])
    if found := draft.inactivity:
        _mark(draft, _mark_late(draft, found.as_of))
        draft.settings += find_settings(draft, project, found.customers, found.churned)
    if drawn is None or drawn.churned.nunique() < 2:
        return
    if isinstance(draft.as_of, datetime.date):
        _mark(draft, _mark_late(draft, draft.as_of))
    answers = [column for _, column in _answer_places(draft)]
    _mark(draft, mark_leaks(draft.tables, drawn, project, answers))
    rows = judge_rows(drawn, gate_of(project))
    draft.look_at += [told for table, told in rows if table not in draft.suspects]
    _mark(draft, mark_pairs(draft.tables, drawn, _features(draft, drawn), project))
    draft.settings += find_settings(draft, project, drawn.all, drawn.all_churned)
    kept = _features(draft, drawn)
    if kept and (doubt := doubt_model(project, *measure(drawn, kept, project))):
        draft.look_at.append(doubt)


def _draw(draft: Draft) -> Population | None:
    return draw_population(draft.tables, draft.keys, draft.answer, draft.ends, draft.horizon)


def _mark_late(draft: Draft, as_of: datetime.date) -> list[Mark]:
    """Mark late dates, but for those by which later rows are cut."""
    times = {(name, str(facts["time"])) for name, facts in draft.joins.items() if "time" in facts}
    return [mark for mark in mark_late(draft.tables, as_of) if mark.place not in times]


def _suspect_tables(draft: Draft, drawn: Population | None) -> None:
    """Suspect whole tables: those that are called as the outcome, or shaped so. The first one,
    and the one with the answer, are none.
    """
    held = {draft.first.name, *(table for table, _ in _answer_places(draft))}
    every = [table.name for table in draft.tables]
    joined = [name for name in every if name not in held]
    if draft.inactivity:
        joined = [name for name in joined if name != draft.inactivity.label.table]
    shaped = {} if drawn is None else find_outcome_tables(drawn)
    found = {**shaped, **dict(outcome_signs.find_named_tables(joined, every))}
    draft.suspects = {name: why for name, why in found.items() if name in joined}


def _answer_places(draft: Draft) -> set[tuple[str, str]]:
    """Return the columns that the answer comes from."""
    if draft.answer:
        return {(draft.answer.table, draft.answer.column)}
    return (
        {(draft.ends.table, name) for name in (draft.ends.end, draft.ends.begin) if name}
        if draft.ends
        else set()
    )


def _mark(draft: Draft, marks: Iterable[Mark]) -> None:
    """Keep marks, but for those of the answer's columns, and of columns that are out already."""
    answers = _answer_places(draft)
    told = [mark for mark in marks if not (mark.is_leak and mark.place[0] in draft.suspects)]
    for mark in (mark for mark in told if mark.place not in answers):
        known = draft.marks.setdefault(mark.place, [])
        if not any(one.is_out for one in known):
            known.append(mark)


def _ids(draft: Draft) -> dict[str, str]:
    return {table.name: draft.id_of(table) or "" for table in draft.tables}


def _features(draft: Draft, drawn: Population) -> list[tuple[str, str]]:
    """Return the columns that become features (of a date the days since then): no ids,
    no answers, none marked.
    """
    answers = _answer_places(draft)
    out: set[Place] = {
        place for place, marks in draft.marks.items() if any(mark.is_out for mark in marks)
    }
    ids: set[Place] = set(_ids(draft).items())
    return [
        place
        for place in drawn.places
        if place not in answers | out | ids
        and place[0] not in draft.suspects
        and ((seen := draft.seen(*place)).type != "category" or seen.distinct <= draft.most_levels)
    ]


def choose_name(wanted: str, inputs: Sequence[Input], tables: Sequence[Table], root: Path) -> str:
    """Return the name, or one that no data set with other columns was accepted under:
    `churn` -> `bank churn`.
    """
    return next(name for name in _propose(wanted, inputs) if not _is_taken(name, tables, root))


def _propose(wanted: str, inputs: Sequence[Input]) -> Iterator[str]:
    yield wanted
    if inputs[0].kind == "file" and (folder := Path(inputs[0].address).parent.name):
        yield f"{folder.replace('_', ' ')} {wanted}"
    yield from (f"{wanted} {number}" for number in itertools.count(2))


def _is_taken(name: str, tables: Sequence[Table], root: Path) -> bool:
    try:
        accepted = read_schema(root / FOLDER / slug(name), name)
    except BaselineError:  # of a name that only looks the same, or no longer readable
        return True
    if accepted is None:
        return False
    known = {column for table in accepted.tables.values() for column in table.columns}
    own = {column for table in tables for column in table.columns}
    return len(known & own) < _SAME * len(known)
