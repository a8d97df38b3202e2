"""The params file as text: commented, one line a column."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from ruamel.yaml import YAML

from draft import labels, words
from draft.columns import Seen
from draft.dates import ISO
from draft.drafted import Draft
from draft.horizon import Horizon
from draft.keys import Key
from draft.labels import Answer
from draft.marks import Mark
from draft.numbers import show
from draft.reading import Table
from draft.thresholds import default

MOST_LEVELS = int(default("transformation", "max_categories", 100))


def write_params(draft: Draft) -> str:
    """Return the text of the params file."""
    lines = [
        "# Drafted by `churn init` from the data itself. What it guessed has its evidence beside it: read it once, and",
        "# correct what it could not know. docs/own_data.md says what else may stand here.",
        f"name: {_flow(draft.name)}  # what is accepted as normal is kept under this name",
        *_write_id(draft),
        *_write_as_of(draft),
        *_write_label(draft),
        "",
        *_write_sources(draft),
        *_write_features(draft),
        *_write_stages(draft),
    ]
    return "\n".join(lines) + "\n"


def _write_id(draft: Draft) -> Iterator[str]:
    key = draft.keys.first
    if key is None:
        yield "# customer_id: no column names a customer, so the rows are numbered"
        return
    yield f"customer_id: {_flow(key.column)}  # {describe_key(key, draft.first)}"


def describe_key(key: Key, table: Table) -> str:
    """Say how well a column names the customers of a table."""
    looked_at = f"all {key.rows:,} rows" if not table.is_part else f"the {key.rows:,} rows looked at"
    if key.months:
        return f"{key.distinct:,} customers; unique together with {key.months} in {looked_at}"
    if key.distinct == key.rows:
        return f"unique in {looked_at}"
    return f"{key.distinct:,} different in {looked_at}; the last row of a customer stays"


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
    else:
        yield "# TO DO: no column was recognised as the answer. Name it here, or use --label COLUMN=VALUE:"
        yield "# label: {column: churned, positive: Yes}"
        yield "# label: {begin_date: signed, end_date: cancelled, horizon_days: 90}   (with as_of above)"
        yield from (f"#   a candidate: {line}" for line in draft.candidates[:12])
        yield "label:"


def _write_answer(draft: Draft, answer: Answer) -> Iterator[str]:
    facts = {"column": answer.column, "positive": answer.positive}
    if answer.negative is not None:
        facts["negative"] = answer.negative
    seen = draft.seen(answer.table, answer.column)
    yield f"label: {_flow(facts)}  # {labels.describe_values(seen)}; {answer.why}"
    if answer.negative is not None and answer.rest:
        yield f"# {' and '.join(answer.rest)}: neither left nor stayed, so these customers are not learned from"


def _write_horizon(draft: Draft, horizon: Horizon) -> Iterator[str]:
    assert draft.ends
    told = f"{horizon.churned:,} of {horizon.customers:,} customers"
    yield f"label:  # churned = ends in [as_of, as_of + horizon_days]: {told}"
    yield f"  end_date: {_flow(draft.ends.end)}  # {draft.ends.why}"
    if draft.ends.begin:
        yield f"  begin_date: {_flow(draft.ends.begin)}"
    yield f"  horizon_days: {horizon.days}"


def _write_sources(draft: Draft) -> Iterator[str]:
    yield "# The first source has a row for each customer. Local paths are relative to the project's root."
    yield "sources:"
    for table in draft.tables:
        yield f"  {table.name}:{_comment(draft.told_of.get(table.name, []))}"
        for name, value in {**table.facts, **draft.joins.get(table.name, {})}.items():
            yield f"    {name}: {_flow(value)}"
        yield "    columns:"
        for seen in table.columns.values():
            yield _write_column(draft, table, seen)


def _write_column(draft: Draft, table: Table, seen: Seen) -> str:
    marks = draft.marks.get((table.name, seen.name), [])
    facts = describe_column(draft, table, seen, marks)
    return f"      {_flow(seen.name)}: {_flow(facts)}{_comment(_remarks(draft, table, seen, marks))}"


def describe_column(draft: Draft, table: Table, seen: Seen, marks: Sequence[Mark]) -> dict[str, Any]:
    """Return what `params.yaml` says of a column; only what differs from what it takes for granted."""
    if draft.id_of(table) == seen.name:
        return {"type": "id"}
    is_answer = draft.answer is not None and (table.name, seen.name) == (draft.answer.table, draft.answer.column)
    facts: dict[str, Any] = {}
    if seen.type == "number":
        facts["type"] = "number"
        facts |= {"decimal": seen.decimal} if seen.decimal != "." else {}
        if words.COUNTED.search(seen.words) and seen.filled and seen.values.min() >= 0:
            facts["min"] = 0
    elif seen.type == "date":
        facts["type"] = "date"
        facts |= {"format": seen.format} if seen.format != ISO else {}
    elif (
        seen.is_listed and seen.distinct and (is_answer or not any(mark.is_out and not mark.is_leak for mark in marks))
    ):
        facts["values"] = [text for text in seen.texts if not is_answer or text not in draft.merged]
    else:
        facts["type"] = "category"
    codes = seen.codes | (dict.fromkeys(draft.merged, draft.answer.positive) if is_answer and draft.answer else {})
    facts |= {"codes": codes} if codes else {}
    facts |= {"none": seen.none} if seen.none else {}
    if seen.missing and not is_answer:
        facts["required"] = False
    if any(mark.is_out for mark in marks):
        facts["feature"] = False
    if description := table.descriptions.get(seen.name):
        facts["description"] = textwrap.shorten(description, 120, placeholder=" …")
    return facts


def _remarks(draft: Draft, table: Table, seen: Seen, marks: Sequence[Mark]) -> list[str]:
    remarks = [mark.why for mark in marks]
    if draft.id_of(table) != seen.name:
        is_told = any(f"{seen.distinct:,} " in remark for remark in remarks)
        remarks += [describe_seen(seen)] if seen.filled and seen.distinct > 1 and not is_told else []
        if seen.missing:
            remarks.append(
                f"{seen.missing_share:.1%} missing" if seen.missing_share >= 0.0005 else f"{seen.missing} missing"
            )
    return [*remarks, *seen.remarks]


def describe_seen(seen: Seen) -> str:
    """Say what was seen of the values of a column."""
    if seen.type == "number":
        values = seen.values
        return f"{show(values.min())} to {show(values.max())}" + (
            f", {seen.distinct:,} values" if seen.distinct > 2 else ""
        )
    if seen.type == "date":
        days = seen.values
        return f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
    if seen.is_listed:
        return labels.describe_values(seen)
    if words.PERSON.search(seen.words):
        return f"{seen.distinct:,} values"  # which are nobody's business
    many = ", too many for a feature" if seen.distinct > MOST_LEVELS else ""
    return f"{seen.distinct:,} values{many}, such as {', '.join(map(_short, seen.counts.index[:3]))}"


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
    if len(plain) > 1:
        yield ""
        yield "# features:  # of your own: name -> expression over the columns of one customer"
        yield f"#   ratio_of_two: {plain[0]} / ({plain[1]} + 1)"


def _write_stages(draft: Draft) -> Iterator[str]:
    if not draft.settings:
        return
    yield ""
    yield "stages:  # what this data needs to be other than the notebooks have it"
    for stage in dict.fromkeys(setting.stage for setting in draft.settings):
        yield f"  {stage}:"
        for setting in draft.settings:
            if setting.stage == stage:
                value = int(setting.value) if float(setting.value).is_integer() and setting.value > 1 else setting.value
                yield f"    {setting.name}: {_flow(value)}  # {setting.why}"


def _comment(remarks: Sequence[str]) -> str:
    text = "; ".join(" ".join(remark.split()) for remark in remarks if remark)
    return f"  # {text}" if text else ""


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width, yaml.sort_base_mapping_type_on_output = True, 1 << 20, False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue().strip().removesuffix("...").strip()
