"""What was found out of a data set, the settings that it needs, and the params file as
text: commented, one line a column.
"""

from __future__ import annotations

import datetime
import io
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML

from churn import vocabulary
from churn.draft.column_types import ISO, Seen, show_number
from churn.draft.horizon_guess import Ends, Horizon
from churn.draft.inactivity_guess import Inactivity, describe_candidates
from churn.draft.keys_and_joins import Key, Keys
from churn.draft.label_guess import Answer, describe_values
from churn.draft.named_inputs import Project
from churn.draft.suspect_columns import Mark
from churn.draft.table_reading import Table

_QUICKER = 0.02  # AUC that the pipeline's own models may gain on a quick one
_FEWEST_OF_A_KIND = 20  # customers; with fewer no threshold makes sense of a model


@dataclass
class Draft:
    """Everything that goes into the params file, and what is told of how it was found."""

    name: str
    tables: list[Table]
    keys: Keys
    answer: Answer | None = None
    ends: Ends | None = None
    horizon: Horizon | None = None
    inactivity: Inactivity | None = None
    offered: list[Inactivity] = field(default_factory=list)
    as_of: datetime.date | str | None = None
    as_of_why: str = ""
    joins: dict[str, dict[str, Any]] = field(default_factory=dict)
    told_of: dict[str, list[str]] = field(default_factory=dict)
    marks: dict[tuple[str, str], list[Mark]] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)  # tables, each with why
    settings: list[Setting] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    rivals: list[Answer] = field(default_factory=list)
    look_at: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    most_levels: int = 100  # values of a category that becomes a feature

    @property
    def first(self) -> Table:
        """The table that has a row for each customer."""
        return self.tables[0]

    @property
    def merged(self) -> list[str]:
        """Values of the label that mean the same as its positive one."""
        return self.answer.same if self.answer else []

    @property
    def has_label(self) -> bool:
        """Whether it is known how the answer is found."""
        found = (self.answer, self.horizon, self.inactivity)
        return any(one is not None for one in found)

    @property
    def group(self) -> str | None:
        """The column whose rows of one value belong together, where rows have an answer."""
        return self.keys.group if self.answer or self.ends else None

    def seen(self, table: str, column: str) -> Seen:
        """Return what was seen of a column."""
        return next(one for one in self.tables if one.name == table).columns[column]

    def id_of(self, table: Table) -> str | None:
        """Return the column that names the customer in a table."""
        keys = [key for key in [self.keys.first, *self.keys.others] if key]
        return next((key.column for key in keys if key.table == table.name), None)


@dataclass(frozen=True)
class Setting:
    """A stage's parameter with another value than its notebook gives it, and the reason."""

    stage: str
    name: str
    value: float
    why: str
    to_look_at: bool = False


def find_settings(draft: Draft, project: Project, customers: int, churned: int) -> list[Setting]:
    """Return the settings without which the data would stop a run though nothing is
    wrong with it.

    Args:
        draft: its tables, keys and answer.
        project: it declares the parameters, and their values.
        customers: how many have a known answer.
        churned: how many of them have left.
    """
    found = [
        *_for_malformed(draft, project),
        *_for_unusable(draft, project),
        *_for_strangers(draft, project),
        *_for_repeated(draft, project),
        *_for_size(draft.first.rows, project, customers, churned),
    ]
    return [one for one in found if project.declares(one.stage, one.name)]


def _for_malformed(draft: Draft, project: Project) -> Iterator[Setting]:
    malformed = max(table.malformed for table in draft.tables)
    if malformed > project.default("ingestion", "malformed_rows_allowed", 0):
        why = "rows with too many or too few fields, which are set aside"
        yield Setting("ingestion", "malformed_rows_allowed", malformed, why, to_look_at=True)


def _for_unusable(draft: Draft, project: Project) -> Iterator[Setting]:
    unusable = {
        f"{table.name}: {why}": share
        for table in draft.tables
        for why, share in _unusable(table, draft.keys, draft.answer)
    }
    worst = max(unusable, key=lambda why: unusable[why], default="")
    limit = "max_quarantined_share"
    if worst and unusable[worst] > 0.8 * project.default("validation", limit, 0.05):
        share = unusable[worst]
        yield Setting("validation", limit, _above(share), f"{worst} ({share:.1%})")


def _for_strangers(draft: Draft, project: Project) -> Iterator[Setting]:
    strangers = max((key.unknown for key in draft.keys.others), default=0.0)
    if strangers > 0.8 * (1 - project.default("validation", "min_key_match", 0.95)):
        name = max(draft.keys.others, key=lambda key: key.unknown).table
        why = f"{strangers:.1%} of the customers in {name} are not in {draft.first.name}"
        match = round(max(1 - _above(strangers), 0), 2)
        yield Setting("validation", "min_key_match", match, why, to_look_at=True)


def _for_repeated(draft: Draft, project: Project) -> Iterator[Setting]:
    copies, differing = {}, {}
    for key in [draft.keys.first, *draft.keys.others]:
        if key and key.is_unique:
            copies[key.table] = 1 - key.distinct / max(key.rows, 1)
            differing[key.table] = copies[key.table] - key.copies / max(key.rows, 1)
    for table in draft.tables:
        if table.name not in copies:
            copies[table.name] = float(table.is_copy.mean())
    yield from _allow_repeated("max_duplicates_share", copies, "another", project)
    what = "a customer, differing; the last one stays"
    yield from _allow_repeated("max_conflicting_duplicates_share", differing, what, project)


def _allow_repeated(
    limit: str, shares: Mapping[str, float], what: str, project: Project
) -> Iterator[Setting]:
    name = max(shares, key=lambda table: shares[table], default="")
    if name and shares[name] > 0.8 * project.default("validation", limit, 1):
        why = f"{shares[name]:.1%} of the rows in {name} repeat {what}"
        yield Setting("validation", limit, _above(shares[name]), why, to_look_at=True)


def _unusable(table: Table, keys: Keys, answer: Answer | None) -> Iterator[tuple[str, float]]:
    """Yield why rows of a table will be set aside, and which share of them."""
    if answer and answer.table == table.name:
        yield f"rows without a value of {answer.column}", table.columns[answer.column].missing_share
    for seen in table.columns.values():
        if seen.unreadable:
            yield (
                f"values of {seen.name} that cannot be read",
                seen.unreadable_rows / max(seen.rows, 1),
            )
    key = next((key for key in keys.others if key.table == table.name), None)
    if key:
        yield "rows of customers that the first table does not have", key.unknown


def _for_size(rows: int, project: Project, customers: int, churned: int) -> Iterator[Setting]:
    fewer = min(churned, customers - churned)
    if fewer < _FEWEST_OF_A_KIND:
        return
    if rows < project.default("validation", "min_rows", 100):
        yield Setting("validation", "min_rows", rows // 2, f"{rows:,} rows")
    for stage in ("transformation", "model_building"):
        if customers < 1.1 * project.default(stage, "min_customers", 500):
            enough = math.floor(0.8 * customers)
            yield Setting(stage, "min_customers", enough, f"{customers:,} customers")
    of_a_kind = {"transformation": "min_churned", "model_building": "min_customers_a_class"}
    for stage, name in of_a_kind.items():
        if fewer < 1.1 * project.default(stage, name, 50):
            why = f"{fewer:,} customers of the rarer answer"
            yield Setting(stage, name, math.floor(0.7 * fewer), why)


def doubt_model(project: Project, strongest: str, alone: float, model: float) -> str | None:
    """Say that what is left may still tell too much, if a quick model of it does.

    Args:
        project: it declares from which AUC on a model tells too much.
        strongest: the column, kept as a feature, that tells most alone.
        alone: its AUC.
        model: AUC of a quick model of all kept columns, out of fold.
    """
    limits = (project.default("model_building", name, 1) for name in ("told_auc", "leakage_auc"))
    if model < min(limits) - _QUICKER:
        return None
    return (
        f"a quick model of the features reaches an AUC of {model:.3f}, though none alone tells "
        f"more than {strongest} ({alone:.3f}): is the answer that clear, or is it spread over "
        "several columns that are known too late?"
    )


def _above(share: float) -> float:
    return min(math.ceil(share * 110 + 1) / 100, 1.0)


def write_params(draft: Draft) -> str:
    """Return the text of the params file."""
    lines = [
        "# Drafted by `churn init` from the data itself. What it guessed has its evidence beside "
        "it: read it once, and",
        "# correct what it could not know. docs/own_data.md says what else may stand here.",
        f"name: {_flow(draft.name)}  # what is accepted as normal is kept under this name",
        *_write_id(draft),
        *_write_as_of(draft),
        *_write_label(draft),
        "",
        *_write_sources(draft),
        *_write_features(draft),
        *_write_how_to_decide(draft),
        *_write_stages(draft),
    ]
    return "\n".join(lines) + "\n"


def _write_id(draft: Draft) -> Iterator[str]:
    key = draft.keys.first
    if key is None:
        yield "# customer_id: no column names a customer, so the rows are numbered"
        yield from _write_group(draft)
        return
    yield f"customer_id: {_flow(key.column)}  # {describe_key(key, draft.first)}"
    yield from _write_group(draft)


def _write_group(draft: Draft) -> Iterator[str]:
    if draft.group:
        seen = draft.first.columns[draft.group]
        told = f"{seen.distinct:,} values in {seen.filled:,} rows, which stay together"
        yield f"group: {_flow(draft.group)}  # {told}"


def describe_key(key: Key, table: Table) -> str:
    """Say how well a column names the customers of a table."""
    looked_at = (
        f"all {key.rows:,} rows" if not table.is_part else f"the {key.rows:,} rows looked at"
    )
    if key.months:
        return f"{key.distinct:,} customers; unique together with {key.months} in {looked_at}"
    if key.distinct == key.rows:
        return f"unique in {looked_at}"
    copies = f"; {key.copies:,} repeat another in every column and are dropped"
    copies = copies if key.copies else ""
    if not key.is_unique:
        return f"{key.distinct:,} customers in {looked_at}{copies}"
    if key.distinct == key.rows - key.copies:
        return f"{key.distinct:,} different in {looked_at}{copies}"
    return f"{key.distinct:,} different in {looked_at}{copies}; the last row of a customer stays"


def _write_as_of(draft: Draft) -> Iterator[str]:
    if draft.as_of is None:
        return
    value = {"column": draft.as_of} if isinstance(draft.as_of, str) else draft.as_of
    yield f"as_of: {_flow(value)}  # {draft.as_of_why}"


def _write_label(draft: Draft) -> Iterator[str]:
    if draft.answer:
        yield from _write_answer(draft, draft.answer)
    elif draft.ends and draft.horizon:
        yield from _write_horizon(draft, draft.horizon)
    elif draft.inactivity:
        yield from _write_inactivity(draft.inactivity)
    else:
        yield (
            "# TO DO: no column was recognised as the answer. Name it here, or use "
            "--label COLUMN=VALUE (or TABLE, where having no rows there is to mean it):"
        )
        yield "# label: {column: churned, positive: Yes}"
        dates = "{begin_date: signed, end_date: cancelled, horizon_days: 90}"
        yield f"# label: {dates}   (with as_of above)"
        yield from (f"# {line}" for line in describe_candidates(draft.offered))
        yield from (f"#   a candidate: {line}" for line in draft.candidates[:12])
        yield "label:"


def _write_answer(draft: Draft, answer: Answer) -> Iterator[str]:
    facts = {"column": answer.column, "positive": answer.positive}
    if answer.negative is not None:
        facts["negative"] = answer.negative
    seen = draft.seen(answer.table, answer.column)
    yield f"label: {_flow(facts)}  # {describe_values(seen)}; {answer.why}"
    if answer.negative is not None and answer.rest:
        yield (
            f"# {' and '.join(answer.rest)}: neither left nor stayed, so these customers are not "
            "learned from"
        )


def _write_horizon(draft: Draft, horizon: Horizon) -> Iterator[str]:
    assert draft.ends
    told = f"{horizon.churned:,} of {horizon.customers:,} customers"
    yield f"label:  # churned = ends in [as_of, as_of + horizon_days]: {told}"
    yield f"  end_date: {_flow(draft.ends.end)}  # {draft.ends.why}"
    if draft.ends.begin:
        yield f"  begin_date: {_flow(draft.ends.begin)}"
    yield f"  horizon_days: {horizon.days}"


def _write_inactivity(found: Inactivity) -> Iterator[str]:
    told = f"{found.churned:,} of {found.customers:,} customers"
    yield f"label:  # churned = {found.label}: {told}"
    yield f"  table: {found.label.table}"
    yield f"  inactive_days: {found.label.inactive_days}  # {found.why}; a guess: you know better"


def _write_sources(draft: Draft) -> Iterator[str]:
    has = "customers" if draft.joins.get(draft.first.name) else "a row for each customer"
    if draft.keys.first and draft.group == draft.keys.first.column:
        has = "several rows for a customer"
    yield f"# The first source has {has}. Local paths are relative to the project's root."
    yield "sources:"
    for table in draft.tables:
        yield f"  {table.name}:{_comment(draft.told_of.get(table.name, []))}"
        suspect = draft.suspects.get(table.name)
        doubt = {"suspect": suspect} if suspect else {}
        for name, value in {**table.facts, **draft.joins.get(table.name, {}), **doubt}.items():
            yield f"    {name}: {_flow(value)}"
        yield "    columns:"
        for seen in table.columns.values():
            yield _write_column(draft, table, seen)


def _write_column(draft: Draft, table: Table, seen: Seen) -> str:
    marks = draft.marks.get((table.name, seen.name), [])
    facts = describe_column(draft, table, seen, marks)
    return (
        f"      {_flow(seen.name)}: {_flow(facts)}{_comment(_remarks(draft, table, seen, marks))}"
    )


def describe_column(
    draft: Draft, table: Table, seen: Seen, marks: Sequence[Mark]
) -> dict[str, Any]:
    """Return what `params.yaml` says of a column; only what differs from what it takes for
    granted.
    """
    if draft.id_of(table) == seen.name:
        return {"type": "id"}
    is_answer = draft.answer is not None and (table.name, seen.name) == (
        draft.answer.table,
        draft.answer.column,
    )
    is_listed = is_answer or not any(mark.is_out and not mark.is_leak for mark in marks)
    facts = _describe_type(seen, draft.merged if is_answer else [], is_listed=is_listed)
    codes = seen.codes | (
        dict.fromkeys(draft.merged, draft.answer.positive) if is_answer and draft.answer else {}
    )
    facts |= {"codes": codes} if codes else {}
    facts |= {"none": seen.none} if seen.none else {}
    if seen.missing and not is_answer:
        facts["required"] = False
    facts |= _describe_doubt(marks)
    if description := table.descriptions.get(seen.name):
        facts["description"] = textwrap.shorten(description, 120, placeholder=" …")
    return facts


def _describe_doubt(marks: Sequence[Mark]) -> dict[str, Any]:
    """Return `feature: false` of what is useless, `suspect` of what may have seen the answer,
    and `ask` of what is only to be looked at.
    """
    out = [mark for mark in marks if mark.is_out]
    if out:
        return {"suspect": out[0].short} if out[0].is_leak else {"feature": False}
    asked = [mark.short for mark in marks if mark.is_leak]
    return {"ask": asked[0]} if asked else {}


def _describe_type(seen: Seen, merged: Sequence[str], *, is_listed: bool) -> dict[str, Any]:
    """Return the type of a column with its form, or its values without those that are
    `merged` into another, if they are to be listed.
    """
    if seen.type == "number":
        facts: dict[str, Any] = {"type": "number"}
        facts |= {"decimal": seen.decimal} if seen.decimal != "." else {}
        is_count = vocabulary.COUNTED.search(seen.words) and seen.filled
        return facts | ({"min": 0} if is_count and seen.values.min() >= 0 else {})
    if seen.type == "date":
        return {"type": "date"} | ({"format": seen.format} if seen.format != ISO else {})
    if seen.is_listed and seen.distinct and is_listed:
        return {"values": [text for text in seen.texts if text not in merged]}
    return {"type": "category"}


def _remarks(draft: Draft, table: Table, seen: Seen, marks: Sequence[Mark]) -> list[str]:
    told = _describe_doubt(marks).values()
    remarks = [mark.why for mark in marks if mark.why not in told]
    if draft.id_of(table) != seen.name:
        is_told = any(f"{seen.distinct:,} " in remark for remark in remarks)
        remarks += (
            [describe_seen(seen, draft.most_levels)]
            if seen.filled and seen.distinct > 1 and not is_told
            else []
        )
        if seen.missing:
            remarks.append(
                f"{seen.missing_share:.1%} missing"
                if seen.missing_share >= 0.0005
                else f"{seen.missing} missing"
            )
    return [*remarks, *seen.remarks]


def describe_seen(seen: Seen, most_levels: int = 100) -> str:
    """Say what was seen of the values of a column; a category of more than `most_levels`
    becomes no feature.
    """
    if seen.type == "number":
        values = seen.values
        return f"{show_number(values.min())} to {show_number(values.max())}" + (
            f", {seen.distinct:,} values" if seen.distinct > 2 else ""
        )
    if seen.type == "date":
        days = seen.values
        return f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
    if seen.is_listed:
        return describe_values(seen)
    if vocabulary.PERSON.search(seen.words):
        return f"{seen.distinct:,} values"  # which are nobody's business
    many = ", too many for a feature" if seen.distinct > most_levels else ""
    return (
        f"{seen.distinct:,} values{many}, such as {', '.join(map(_short, seen.counts.index[:3]))}"
    )


def _short(text: str) -> str:
    return textwrap.shorten(text, 30, placeholder="…") or text[:30]


def _write_features(draft: Draft) -> Iterator[str]:
    numbers = [seen.name for seen in draft.first.columns.values() if seen.type == "number"]
    numbers = [
        name
        for name in numbers
        if name != draft.id_of(draft.first)
        and not any(mark.is_out for mark in draft.marks.get((draft.first.name, name), []))
    ]
    plain = [name for name in numbers if name.isidentifier()]
    if len(plain) > 1 and not draft.joins.get(draft.first.name):
        yield ""
        yield "# features:  # of your own: name -> expression over the columns of one customer"
        yield f"#   ratio_of_two: {plain[0]} / ({plain[1]} + 1)"


def list_suspects(draft: Draft) -> list[str]:
    """Name the tables and columns that are no features until they are allowed by name."""
    marked = [
        place[1]
        for place, marks in draft.marks.items()
        if any(mark.is_out and mark.is_leak for mark in marks)
    ]
    return [*draft.suspects, *dict.fromkeys(marked)]


def _write_how_to_decide(draft: Draft) -> Iterator[str]:
    suspects = list_suspects(draft)
    is_asked = any(
        not mark.is_out and mark.is_leak for marks in draft.marks.values() for mark in marks
    )
    if suspects or is_asked:
        yield ""
        yield "# How to decide on `suspect` and `ask`: was the value there when the as-of day came,"
        yield "# for each customer, whether or not he left later? Then it is honest."
    if suspects:
        yield "# A suspect is no feature until it is allowed by name, in `stages`:"
        yield f"#   transformation: {{allowed_columns: {_flow(suspects[:1])}}}"
    if is_asked:
        yield "# What is asked stays a feature. If it is written later: `feature: false`."


def _write_stages(draft: Draft) -> Iterator[str]:
    if not draft.settings:
        return
    yield ""
    yield "stages:  # what this data needs to be other than the notebooks have it"
    for stage in dict.fromkeys(setting.stage for setting in draft.settings):
        yield f"  {stage}:"
        for setting in draft.settings:
            if setting.stage == stage:
                value = (
                    int(setting.value)
                    if float(setting.value).is_integer() and setting.value > 1
                    else setting.value
                )
                yield f"    {setting.name}: {_flow(value)}  # {setting.why}"


def _comment(remarks: Sequence[str]) -> str:
    text = "; ".join(" ".join(remark.split()) for remark in remarks if remark)
    return f"  # {text}" if text else ""


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width = True, 1 << 20
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue().strip().removesuffix("...").strip()
