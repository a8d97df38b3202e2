"""`python -m churn.scoring.actual_churn`: compares the scores of a run with what happened since."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from churn.params import load_params, suggest
from churn.tables.files import read_table  # (sets pandas' semantics of texts)

# isort: split
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from churn.decision import profit
from churn.features.snapshots import find_last_known
from churn.modelling import metrics
from churn.params import ColumnLabel, EndDateLabel, InactivityLabel, ParameterError, Params
from churn.tables.activity import Activity, read_activity

MOST_MISSING_DAYS = 7  # that the data may end before the horizon does
GROUPS = 10  # of equally many customers, by their probability
FEWEST = 10  # of each kind of customers


class NotYetError(Exception):
    """What happened to the customers cannot be told."""


def read_scores(file: Path, sha256: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read what a run kept: scores (customer id first, then `as_of`, `probability`,
    `value`, `contact`), and money.

    Raises:
        NotYetError: they are gone, or not what the run wrote.
    """
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise NotYetError(
            f"{file} {'was altered' if content else 'is gone'}: these scores cannot be evaluated."
        )
    return pd.read_parquet(file), json.loads(
        (pq.read_schema(file).metadata or {}).get(b"money", b"{}")
    )


def find_outcome(
    scores: pd.DataFrame, now: pd.DataFrame, params: Params, activity: Activity | None = None
) -> pd.Series[Any]:
    """Say of each scored customer whether they left; missing where it is not known.

    `now` is the prepared table of today. With an end date: whether it lies in the
    horizon after the day of the scores; a customer who is not in the table any longer
    is unknown. With inactivity: whether no row of their `activity` does. With a column:
    what it says.

    Raises:
        NotYetError: the data does not reach the end of the horizon, or lacks a column.
    """
    if params.numbers_rows:
        raise NotYetError("No column names a customer, so nobody can be found again in later data.")
    own, label = str(scores.columns[0]), params.label
    lacking = [name for name in (own, params.customer_id, *label.columns) if name not in now]
    if lacking:
        raise NotYetError(
            f"The prepared data has no column {lacking[0]!r}{suggest(lacking[0], [*now])}."
        )
    last = now.drop_duplicates(own, keep="last").set_index(own)
    ids = scores[own].reset_index(drop=True)
    if isinstance(label, ColumnLabel):
        return _read_answers(last[label.column].astype("str").reindex(ids), label)
    as_of = scores["as_of"].reset_index(drop=True)
    _refuse_unfinished(as_of, label, find_last_known(now, params, activity))
    if isinstance(label, EndDateLabel):
        ends, horizon = last[label.end_date].reindex(ids), pd.Timedelta(days=label.horizon_days)
        ends = ends.reset_index(drop=True)
        left = (ends >= as_of) & (ends <= as_of + horizon)
    else:
        assert activity is not None
        left = ~activity.judge(ids, as_of, label)[1]
    return left.astype("boolean").mask(~ids.isin(last.index))


def _read_answers(answers: pd.Series[Any], label: ColumnLabel) -> pd.Series[Any]:
    values = answers.reset_index(drop=True)
    is_positive, known = values.eq(label.positive), values.notna()
    if label.negative is not None:
        known = values.isin([label.positive, label.negative])
    return is_positive.astype("boolean").mask(~known)


def _refuse_unfinished(
    as_of: pd.Series[Any], label: EndDateLabel | InactivityLabel, known_until: pd.Timestamp
) -> None:
    if as_of.isna().any():
        raise NotYetError("The scores have no as-of day, from which on what happened would count.")
    horizon_end = pd.Timestamp(label.last_day(as_of.max()))
    missing = (horizon_end - known_until).days
    if missing > MOST_MISSING_DAYS:
        raise NotYetError(
            "It cannot be told yet who left: the horizon of the scores ends on "
            f"{horizon_end:%Y-%m-%d}, the prepared data on {known_until:%Y-%m-%d}, {missing} days "
            "before. Run the pipeline on later data: churn run --until preparation."
        )


def measure(
    scores: pd.DataFrame, outcome: pd.Series[Any], money: Mapping[str, Any]
) -> dict[str, Any]:
    """Measure scores against what happened: order, calibration, lift, those who were to
    be contacted, money.

    Raises:
        NotYetError: too few customers of one kind.
    """
    known = outcome.notna().to_numpy()
    churned, rows = outcome[known].to_numpy("int64"), scores[known].reset_index(drop=True)
    if min(churned.sum(), len(churned) - churned.sum()) < FEWEST:
        raise NotYetError(
            f"Of {len(churned):,} customers {churned.sum():,} left: too few of one kind to compare."
        )
    probability = rows["probability"].to_numpy("float64")
    measured: dict[str, Any] = {
        name: float(value) for name, value in metrics.measure(churned, probability).items()
    }
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
    """Return what contacting those who were to be contacted is worth, now that it is
    known who left.
    """
    if not money:
        return None
    gain = profit.actual_gain(churned, rows["value"].to_numpy("float64"), profit.Money(**money))
    return float(gain[rows["contact"].to_numpy(bool)].sum())


def _group(churned: Any, probability: Any) -> list[dict[str, float]]:
    """Return customers in groups of rising probability: how many, mean probability,
    share that left.
    """
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, GROUPS) if len(part)]
    return [
        {
            "customers": len(p),
            "predicted": float(probability[p].mean()),
            "observed": float(churned[p].mean()),
        }
        for p in parts
    ]


def main(arguments: Sequence[str]) -> int:
    """Evaluate scores and print the measures as JSON; exit codes: 0 done, 1 it cannot be told."""
    parser = argparse.ArgumentParser(prog="actual_churn")
    for option in ("--scores", "--sha256", "--params", "--prepared"):
        parser.add_argument(option, required=True)
    options = parser.parse_args(arguments)
    try:
        params = load_params(options.params)
        scores, money = read_scores(Path(options.scores), options.sha256)
        now = read_table(options.prepared, "customers")
        activity = None
        if params.customer_id in now:
            activity = read_activity(options.prepared, now[params.customer_id], params)
        measured = measure(scores, find_outcome(scores, now, params, activity), money)
    except (NotYetError, ParameterError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({name: None if _is_nan(value) else value for name, value in measured.items()}))
    return 0


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
