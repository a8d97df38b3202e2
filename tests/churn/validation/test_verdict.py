"""The verdict in words: what stops the run, what is set aside, what differs."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from IPython.display import DisplayHandle

from churn.baseline import Baseline, BaselineSchema
from churn.params import ColumnLabel, FileSource, Params
from churn.stage import GateError
from churn.validation.baseline_rules import IN_BASELINE
from churn.validation.rules import Rule, list_failures
from churn.validation.suspicions import Suspicion
from churn.validation.verdict import Findings, Verdict

PARAMS = Params(
    name="Flat",
    customer_id="id",
    label=ColumnLabel(column="Churn", positive="Yes"),
    sources={"t": FileSource(file="t.csv")},
)
HOLDS = Rule("t", "fee", "is a number", 10, 0, 0.05)
NEW = Rule("t", "note", IN_BASELINE, 1, 1, 0.0, tells=True, baseline=True)
FAILED = Rule("t", "plan*", "has values of the baseline only", 10, 5, 0.05, baseline=True)


def find(*rules: Rule, labels: bool = True) -> Findings:
    """Return findings with some rules, of ten rows of which one is set aside."""
    findings = Findings(DisplayHandle(), DisplayHandle())
    findings.rows["t"] = 10
    frame = pd.DataFrame({"fee": ["x"] * 10})
    findings.unusable["t"] = list_failures(frame, [3], "fee", "is a number")
    findings.rules += rules
    findings.shifts = pd.DataFrame(columns=["table", "column", "shift", "what moved"])
    if labels:
        counts = {"churned": [4], "stayed": [5], "unknown": [1]}
        findings.labels = pd.DataFrame(counts, index=["all rows"])
    return findings


def say(findings: Findings, schema: BaselineSchema | None = None) -> str:
    """Return the verdict, a sentence a line."""
    baseline = Baseline(Path("data/accepted/flat"), schema, {}, {})
    return "\n".join(Verdict(findings, PARAMS, baseline, "2026-01-31-1").sentences())


def test_the_first_data_of_its_kind() -> None:
    """The run may go on; rows, answers, rows set aside, and that the baseline is learned."""
    told = say(find(HOLDS))
    assert told.startswith("The run may go on")
    assert "none of the 1 rules" in told
    assert re.search(r"\b10 rows\b.*\b4 of 9 customers\b.*\(44\.4%\).* of 1 ", told)
    assert "1 of 10 rows (10.00%)" in told
    assert re.search("learned.*`data/accepted/flat`", told)
    assert "Nothing looks suspicious" in told


def test_what_differs_from_the_baseline_and_how_it_is_accepted() -> None:
    """Names of columns are no markup; what is only new is told, with the command."""
    findings = find(HOLDS, NEW, FAILED)
    told = say(findings, BaselineSchema(name="Flat", tables={}))
    assert told.startswith("The run stops here")
    assert "2 things differ: t.note is new" in told
    assert "t.plan\\*" in told
    assert "`churn accept 2026-01-31-1`" in told
    assert findings.unsettled == []


def test_customers_to_be_scored() -> None:
    """Nothing is said of an answer, of suspicions, or of a baseline that will be learned."""
    told = say(find(HOLDS, labels=False))
    assert "of customers to be scored" in told
    assert "no baseline to compare with" in told
    assert "suspicious" not in told


def test_suspicions_are_named_with_their_rows() -> None:
    """Three of them; the rest is counted."""
    findings = find(HOLDS)
    findings.suspicions += [Suspicion("t", f"c{place}", "is odd", 5, 10) for place in range(5)]
    told = say(findings)
    assert "t.c0 is odd (50.0%" in told
    assert "and 2 more" in told


def test_problems_stop_the_run() -> None:
    """With each of them in the message; without one, nothing happens."""
    find(HOLDS).gate([], "The tables are wrong")
    with pytest.raises(GateError, match="no column 'fee'"):
        find(HOLDS).gate(["t: no column 'fee'"], "The tables are wrong")
