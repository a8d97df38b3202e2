"""Columns and tables that may be the outcome itself, by what they are called or by what
`params.yaml` suspects: no features until they are allowed by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from churn import vocabulary
from churn.leakage import leak_gate, strength
from churn.leakage.strength import Ints

NAMED = "by its name the outcome, or written with it"
TABLE_NAMED = "by its name the table of the outcomes"
MODELLED = "by its name the output of a model"
SAME_CONTACT = "by its name how long the contact lasted that had the outcome"
_FEWEST_OF_CAMPAIGN = 2  # columns beside it that speak of a campaign

Facts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Shape:
    """From where on something has the shape of the outcome: `times` likelier to be there of
    those who left than of those who stayed, and there of a `share` of those who left.

    Ten times is what Kass and Raftery (Bayes Factors, 1995) after Jeffreys call strong evidence.
    """

    times: float = 10.0
    share: float = 0.25


def find_outcomes(
    columns: Facts, histories: Facts, answers: Collection[str], first: str
) -> dict[str, str]:
    """Return the columns and the tables that may be the outcome itself, each with why.

    A table is named alone, without its columns. The first one and the one that holds the
    answer are none, whatever they are called; nor is a column that is no feature anyway.

    Args:
        columns: of the merged table, as `params.merged_columns.describe_columns` has them.
        histories: the tables with several rows a customer, likewise.
        answers: the columns of the answer.
        first: the table with a row for each customer.
    """
    tables = dict.fromkeys([*(str(fact["table"]) for fact in columns.values()), *histories])
    held = {str(columns[name]["table"]) for name in answers if name in columns}
    joined = [name for name in tables if name not in {first, *held}]
    found = dict(find_named_tables(joined, list(tables)))
    found |= {table: fact["suspect"] for table, fact in histories.items() if fact.get("suspect")}
    found |= _find_suspected(columns, joined)
    listed = {name: fact for name, fact in columns.items() if fact["table"] not in found}
    of_campaign = speaks_of_contact(list(columns), answers)
    for name, fact in listed.items():
        if fact["feature"] and (why := fact.get("suspect") or find_why(name, of_campaign)):
            found[name] = why
    for table, fact in histories.items():
        if table not in found:
            found |= _find_in_history(fact["columns"])
    return found


def find_named_tables(names: Sequence[str], every: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the tables that are named as those of the outcomes; a word that all tables
    share, such as the name of the data set, says nothing.
    """
    words = [set(vocabulary.plain(name).split()) for name in every]
    shared = set.intersection(*words) if len(words) > 1 else set()
    for name in names:
        own = " ".join(word for word in vocabulary.plain(name).split() if word not in shared)
        if vocabulary.names_outcomes_table(own):
            yield name, TABLE_NAMED


def _find_suspected(columns: Facts, tables: Collection[str]) -> dict[str, str]:
    """Return the tables of which all that may be a feature is suspected for one reason."""
    found = {}
    for table in tables:
        facts = [fact for fact in columns.values() if fact["table"] == table and fact["feature"]]
        reasons = {fact.get("suspect") for fact in facts}
        if len(facts) > 1 and len(reasons) == 1 and (why := reasons.pop()):
            found[table] = why
    return found


def _find_in_history(columns: Facts) -> dict[str, str]:
    """Return the suspects among the columns of a table with several rows a customer."""
    found = {}
    for name, fact in columns.items():
        why = fact.get("suspect") or find_why_in_history(vocabulary.plain(name))
        if fact["feature"] and why:
            found[name] = why
    return found


def speaks_of_contact(names: Collection[str], answers: Collection[str]) -> bool:
    """Whether the answer is that of a contact, such as a call of a campaign: other columns
    speak of it, and the answer's name does not speak of leaving.
    """
    plain = [vocabulary.plain(name) for name in names]
    told = sum(bool(vocabulary.CONTACTED.search(name)) for name in plain)
    leaves = any(vocabulary.LEAVING.search(vocabulary.plain(name)) for name in answers)
    return told >= _FEWEST_OF_CAMPAIGN and not leaves


def find_why(name: str, of_campaign: bool) -> str | None:
    """Return why the name of a customer's column says that it is the outcome, if it does."""
    words = vocabulary.plain(name)
    if modelled := find_modelled(words):
        return modelled
    if vocabulary.names_outcome(words):
        return NAMED
    return SAME_CONTACT if of_campaign and vocabulary.LASTED.fullmatch(words) else None


def find_why_in_history(words: str) -> str | None:
    """Return why a plain name in a table with several rows a customer says that it is the
    outcome, if it does: what was closed or cancelled there is a ticket or an order, unless it
    speaks of churn.
    """
    is_named = vocabulary.CHURN.search(words) and vocabulary.names_outcome(words)
    return find_modelled(words) or (NAMED if is_named else None)


def find_modelled(words: str) -> str | None:
    """Return why a plain name says that it is the output of a model, if it does."""
    return MODELLED if vocabulary.MODEL_OUTPUT.search(words) else None


def spread_allowed(allowed: Collection[str], columns: Facts, histories: Facts) -> set[str]:
    """Return what is allowed by name: columns, and of tables all that they hold."""
    found = set(allowed)
    found |= {name for name, fact in columns.items() if fact["table"] in allowed}
    for table in histories:
        if table in allowed:
            found |= {*histories[table]["columns"]}
    return found


def list_known(columns: Facts, histories: Facts) -> set[str]:
    """Return the names that may be allowed: of columns, and of tables."""
    of_histories = {name for fact in histories.values() for name in fact["columns"]}
    return {*columns, *(str(fact["table"]) for fact in columns.values()), *histories, *of_histories}


def tabulate(named: Mapping[str, str], withheld: Collection[str], columns: Facts) -> pd.DataFrame:
    """Return a line for each that may be the outcome, or of which params.yaml asks: why, and
    what became of it.
    """
    lines = [
        [name, why, "no feature" if name in withheld else "allowed"] for name, why in named.items()
    ]
    asked = {name: fact["ask"] for name, fact in columns.items() if fact.get("ask")}
    lines += [[name, why, "asked"] for name, why in asked.items() if name not in named]
    return pd.DataFrame(lines, columns=["column or table", "why", "verdict"])


def compare(
    kept: pd.DataFrame,
    withheld: Mapping[str, pd.DataFrame],
    churned: pd.Series[Any],
    groups: Ints,
    *,
    without: float,
) -> tuple[pd.DataFrame, float]:
    """Return what a quick model would be with what is withheld.

    Args:
        kept: the features.
        withheld: for each column or table its features, which are none of the kept ones.
        churned: the answers, 0 and 1.
        groups: rows of one are in one fold.
        without: the AUC of the model as it is.

    Returns:
        A row for each with `AUC alone`, of the strongest of its features, and `model with it`;
        and the AUC of the model with them all.
    """
    folds, of_model = strength.fold_groups(groups), strength.fold_groups(groups, leak_gate.FOLDS)

    def score(*more: pd.DataFrame) -> float:
        return leak_gate.score_quickly(pd.concat([kept, *more], axis=1), churned, of_model)

    lines = {}
    for name, values in withheld.items():
        alone = strength.separate_each(values, churned, folds)["AUC"].max()
        lines[name] = [float(alone), score(values)]
    table = pd.DataFrame.from_dict(lines, orient="index", columns=["AUC alone", "model with it"])
    return table, score(*withheld.values()) if withheld else without


def weigh_presence(is_there: pd.Series[Any], churned: pd.Series[Any]) -> tuple[float, float]:
    """Return how many times likelier those who left have something than those who stayed,
    with half a customer added to each count; and the share of those who left who have it.
    """
    left = churned.to_numpy(bool)
    has = is_there.to_numpy(bool)
    of_left, of_stayed = int((has & left).sum()), int((has & ~left).sum())
    share = (of_left + 0.5) / (int(left.sum()) + 1)
    return share * (int((~left).sum()) + 1) / (of_stayed + 0.5), of_left / max(int(left.sum()), 1)


def describe_shape(
    is_there: pd.Series[Any], churned: pd.Series[Any], what: str, shape: Shape
) -> str | None:
    """Return why something is shaped as the outcome: hardly anybody has it who stayed.

    Args:
        is_there: who has a value, or a row.
        churned: the answers, 0 and 1.
        what: `a value` or `a row`.
        shape: from where on.
    """
    times, share = weigh_presence(is_there, churned)
    if times < shape.times or share < shape.share:
        return None
    stayed = is_there[churned.to_numpy() == 0].mean()
    return (
        f"shaped as the outcome: {share:.0%} of those who left have {what}, {stayed:.1%} of others"
    )


def find_shaped(
    values: pd.DataFrame,
    tables: Mapping[str, str],
    churned: pd.Series[Any],
    shape: Shape,
    present: Collection[str] = (),
) -> dict[str, str]:
    """Return the features that hardly anybody has who stayed, each with why: under the name
    of its table where a whole joined table is so.

    Args:
        values: the features.
        tables: of each feature of a joined table or a history the table; of others nothing.
        churned: the answers, 0 and 1.
        shape: from where on.
        present: the features that say with Yes and No who has a row in a table.
    """
    found: dict[str, str] = {}
    for name in map(str, values):
        table, column = tables.get(name), values[name]
        is_row = table is not None and name == f"{table}_rows"
        is_there = column > 0 if is_row else column.notna()
        if table is not None and name in present:
            is_there, is_row = column == "Yes", True
        why = describe_shape(is_there, churned, "a row" if is_row else "a value", shape)
        if why:
            found[table if table is not None and is_row else name] = why
    return {name: why for name, why in found.items() if tables.get(name) not in found}
