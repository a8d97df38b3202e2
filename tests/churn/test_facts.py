"""Which facts of a params file are read is observed, however the code comes to them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from churn import facts as churn_facts
from churn.facts import facts_read, list_facts
from churn.params import Params, load_params

FILE = """\
name: Company
customer_id: id
as_of: 2025-10-01
label: {end_date: end, horizon_days: 30}
sources:
  crm:
    file: crm.csv
    columns: {id: {type: id}, "a.b": {type: number, description: a price}}
  usage: {api: "https://me:s3cret@example.com/usage", auth: {bearer: "${TOKEN}"}}
"""


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A params file that was just read, with nothing seen before."""
    monkeypatch.setattr(churn_facts, "_read", {})
    monkeypatch.setattr(churn_facts, "_observed", {})
    (tmp_path / "params.yaml").write_text(FILE)
    return load_params(tmp_path / "params.yaml")


def test_reading_a_file_reads_none_of_its_facts(params: Params) -> None:
    """The checks when a file is loaded are not the notebook's."""
    assert facts_read() == []


@pytest.mark.parametrize(
    ("read", "facts"),
    [
        (lambda params: params.customer_id, {"customer_id"}),
        (lambda params: getattr(params, "".join(("na", "me"))), {"name"}),
        (lambda params: params.numbers_rows, {"customer_id"}),
        (lambda params: list(params.sources), {"sources"}),
        (lambda params: hasattr(params.label, "column"), {"label"}),
        (lambda params: params.label.columns, {"label", "label.begin_date", "label.end_date"}),
        (
            lambda params: params.sources["crm"].columns["a.b"].type,
            {"sources", "sources.crm.columns", r"sources.crm.columns.a\.b.type"},
        ),
        (
            lambda params: params.sources["crm"].columns["id"].is_typed,
            {"sources", "sources.crm.columns", "sources.crm.columns.id (keys given)"},
        ),
        (lambda params: params.sources["usage"].auth, {"sources", "sources.usage.auth"}),
    ],
)
def test_what_is_read_is_noted_by_its_place(
    params: Params, read: Callable[[Params], Any], facts: set[str]
) -> None:
    """By attribute, by a computed name, through properties and dictionaries."""
    read(params)
    assert set(facts_read()) == facts


@pytest.mark.parametrize(
    "take",
    [
        lambda part: part.model_dump(),
        lambda part: part.model_dump_json(),
        lambda part: part.model_copy(update={}),
        lambda part: copy.deepcopy(part),
        lambda part: pickle.dumps(part),
        lambda part: dict(part),
        lambda part: repr(part),
        lambda part: vars(part),
        lambda part: part == part.model_validate({"end_date": "x", "horizon_days": 1}),
    ],
)
def test_a_part_that_is_taken_as_a_whole_counts_as_read(
    params: Params, take: Callable[[Any], Any]
) -> None:
    """Dumped, copied, pickled, shown or compared: each of its facts may have been used."""
    take(params.label)
    fields = {"label.end_date", "label.begin_date", "label.horizon_days"}
    assert fields <= set(facts_read())
    assert "customer_id" not in facts_read()


def test_every_fact_that_can_be_read_has_a_value_to_compare(params: Params) -> None:
    """What is noted when all is read are the places that are listed, and no credential is
    among their values.
    """
    params.model_dump()
    listed = dict(list_facts(params))
    assert set(facts_read()) == set(listed)
    assert "s3cret" not in str(listed)
    assert listed["sources"] == "crm, usage"
    assert listed["label"] == "EndDateLabel"
    assert listed["sources.usage.auth"].startswith("sha256:")
