"""`python -m evaluating`: compares the scores of a run with what happened since."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import stagekit  # (sets pandas' semantics of texts)

# isort: split
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

import evaluation
from decision import profit
from params import ColumnLabel, EndDateLabel, ParameterError, Params

MOST_MISSING_DAYS = 7  # that the data may end before the horizon does
GROUPS = 10  # of equally many customers, by their probability
FEWEST = 10  # of each kind of customers


class NotYetError(Exception):
    """What happened to the customers cannot be told."""


def read_scores(file: Path, sha256: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read what a run kept: scores (customer id first, then `as_of`, `probability`, `value`, `contact`), and money.

    Raises:
        NotYetError: they are gone, or not what the run wrote.
    """
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise NotYetError(f"{file} {'was altered' if content else 'is gone'}: these scores cannot be evaluated.")
    return pd.read_parquet(file), json.loads((pq.read_schema(file).metadata or {}).get(b"money", b"{}"))


def find_outcome(scores: pd.DataFrame, now: pd.DataFrame, params: Params) -> pd.Series[Any]:
    """Say of each scored customer whether they left; missing where it is not known.

    `now` is the prepared table of today. With an end date: whether it lies in the horizon after the day of the scores;
    a customer who is not in the table any longer is unknown. With a column: what it says.

    Raises:
        NotYetError: the data does not reach the end of the horizon, or lacks a column.
    """
    if params.numbers_rows:
        raise NotYetError("No column names a customer, so nobody can be found again in later data.")
    own, label = str(scores.columns[0]), params.label
    lacking = [name for name in (own, *label.columns) if name not in now]
    if lacking:
        raise NotYetError(f"The prepared data has no column {lacking[0]!r}{stagekit.suggest(lacking[0], [*now])}.")
    last = now.drop_duplicates(own, keep="last").set_index(own)
    if isinstance(label, ColumnLabel):
        answers = last[label.column].astype("str").reindex(scores[own]).reset_index(drop=True)
        known = answers.notna() if label.negative is None else answers.isin([label.positive, label.negative])
        return answers.eq(label.positive).astype("boolean").mask(~known)
    return _find_ended(scores, last, label)


def _find_ended(scores: pd.DataFrame, last: pd.DataFrame, label: EndDateLabel) -> pd.Series[Any]:
    as_of = scores["as_of"]
    if as_of.isna().any():
        raise NotYetError("The scores have no as-of day, from which on what happened would count.")
    horizon = pd.Timedelta(days=label.horizon_days)
    horizon_end = as_of.max() + horizon
    known_until = last[label.columns].max().max()
    missing = (horizon_end - known_until).days
    if missing > MOST_MISSING_DAYS:
        raise NotYetError(
            f"It cannot be told yet who left: the horizon of the scores ends on {horizon_end:%Y-%m-%d}, the prepared "
            f"data on {known_until:%Y-%m-%d}, {missing} days before. Run the pipeline on later data: "
            "churn run --until preparation."
        )
    ends = last[label.end_date].reindex(scores.iloc[:, 0]).reset_index(drop=True)
    is_known = pd.Series(scores.iloc[:, 0].isin(last.index).to_numpy())
    left = (ends >= as_of.reset_index(drop=True)) & (ends <= as_of.reset_index(drop=True) + horizon)
    return left.astype("boolean").mask(~is_known)


def measure(scores: pd.DataFrame, outcome: pd.Series[Any], money: Mapping[str, Any]) -> dict[str, Any]:
    """Measure scores against what happened: order, calibration, lift, those who were to be contacted, money.

    Raises:
        NotYetError: too few customers of one kind.
    """
    known = outcome.notna().to_numpy()
    churned, rows = outcome[known].to_numpy("int64"), scores[known].reset_index(drop=True)
    if min(churned.sum(), len(churned) - churned.sum()) < FEWEST:
        raise NotYetError(f"Of {len(churned):,} customers {churned.sum():,} left: too few of one kind to compare.")
    probability = rows["probability"].to_numpy("float64")
    measured: dict[str, Any] = {name: float(value) for name, value in evaluation.measure(churned, probability).items()}
    contacted = rows["contact"].to_numpy(bool)
    return {
        "customers": len(scores),
        "unknown": int((~known).sum()),
        "churn_rate": float(churned.mean()),
        "mean_probability": float(probability.mean()),
        **measured,
        "contacted": int(contacted.sum()),
        "churn_rate_of_contacted": float(churned[contacted].mean()) if contacted.any() else None,
        "churners_found": float(churned[contacted].sum() / churned.sum()),
        "profit": _measure_profit(churned, rows, money),
        "groups": _group(churned, probability),
    }


def _measure_profit(churned: Any, rows: pd.DataFrame, money: Mapping[str, Any]) -> float | None:
    """Return what contacting those who were to be contacted is worth, now that it is known who left."""
    if not money:
        return None
    gain = profit.actual_gain(churned, rows["value"].to_numpy("float64"), profit.Money(**money))
    return float(gain[rows["contact"].to_numpy(bool)].sum())


def _group(churned: Any, probability: Any) -> list[dict[str, float]]:
    """Return customers in groups of rising probability: how many, mean probability, share that left."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, GROUPS) if len(part)]
    return [
        {"customers": len(p), "predicted": float(probability[p].mean()), "observed": float(churned[p].mean())}
        for p in parts
    ]


def main(arguments: Sequence[str]) -> int:
    """Evaluate scores and print the measures as JSON; exit codes: 0 done, 1 it cannot be told."""
    parser = argparse.ArgumentParser(prog="evaluating")
    for option in ("--scores", "--sha256", "--params", "--prepared"):
        parser.add_argument(option, required=True)
    options = parser.parse_args(arguments)
    try:
        params = stagekit.load_params(options.params)
        scores, money = read_scores(Path(options.scores), options.sha256)
        now = stagekit.read_table(options.prepared, "customers")
        measured = measure(scores, find_outcome(scores, now, params), money)
    except (NotYetError, ParameterError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({name: None if _is_nan(value) else value for name, value in measured.items()}))
    return 0


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
