"""How a model does on segments of the customers, with intervals, and where it does
badly or unfairly.

A warning needs evidence that is left when all segments are counted (Bonferroni, 5 % in
all), and a size that matters. Segments also differ honestly, which is no warning:

- the AUC within a segment of similar customers is lower than that over all, also for a
  perfect model. It is compared with what the model's own probabilities promise there;
- a segment of fewer churners is contacted less. The shares contacted and reached are
  compared with those of the other customers where the churn rates are about the same
  (by the four-fifths rule), or say the opposite.

Rows of one group (copies, one customer in several rows) say less than as many customers.
They widen each interval by what they have in common: Kish, Survey Sampling (1965);
Obuchowski, Nonparametric Analysis of Clustered ROC Curve Data (1997).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm, rankdata  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score

from churn.params import suggest
from churn.tables import repeats

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Groups = npt.NDArray[np.intp]

MOST_VALUES = 10  # of a category that is cut into segments by itself
MOST_COLUMNS = 20
FEWEST = 50  # customers (groups) in a segment; smaller ones are put together
FEWEST_OF_CLASS = 15  # churners (groups), and stayers, for an AUC
# From which difference on a warning is worth reading.
_MATTERS = {"auc": 0.05, "calibration": 0.15, "rate": 0.10}
_FOUR_FIFTHS = 0.8
_ALPHA = 0.05
_MISSING = "(missing)"


def choose_columns(features: pd.DataFrame, wanted: Sequence[str]) -> list[str]:
    """Return the columns to cut by: those wanted, or else the first categories with few values."""
    if wanted:
        return list(wanted)
    texts = [str(name) for name in features if features[name].dtype.kind != "f"]
    few = [name for name in texts if 2 <= features[name].nunique(dropna=False) <= MOST_VALUES]
    return few[:MOST_COLUMNS]


def find_problems(frame: pd.DataFrame, wanted: Sequence[str]) -> list[str]:
    """Return which columns customers cannot be cut by, since there are none of that name."""
    known = [str(name) for name in frame]
    return [
        f"segment_columns: there is no column {name!r}{suggest(name, known)}"
        for name in wanted
        if name not in known
    ]


def cut(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the segment of each customer in each column: a category's value, or a
    quarter of a number's range.
    """
    return pd.DataFrame({name: _cut(frame[name]) for name in columns}, index=frame.index)


def _cut(column: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MOST_VALUES:
        column = pd.qcut(column, 4, duplicates="drop", precision=3)
    texts = column.astype(object).where(column.notna(), _MISSING).astype(str)
    counts = texts.value_counts()
    small = counts.index[counts < FEWEST]
    return (
        texts.where(~texts.isin(small), f"(others: {len(small)} values)")
        if len(small) > 1
        else texts
    )


@dataclass(frozen=True)
class _Rows:
    """Customers as a model sees them: answers, probabilities, who is contacted, and the
    groups that belong together, numbered from 0.
    """

    churned: Labels
    probability: Floats
    chosen: Flags
    groups: Groups

    def take(self, inside: Flags) -> _Rows:
        return _Rows(
            self.churned[inside],
            self.probability[inside],
            self.chosen[inside],
            pd.factorize(self.groups[inside])[0],
        )


def measure(
    cuts: pd.DataFrame,
    churned: Labels,
    probability: Floats,
    threshold: Floats | float,
    groups: Groups,
) -> pd.DataFrame:
    """Measure a model on each segment of at least `FEWEST` customers; those of two
    columns that are the same, once.

    Args:
        cuts: the segment of each customer, a column for each cut; see `cut`.
        churned: 0 or 1.
        probability: the model's.
        threshold: of each customer, or one for all: who lies above it is contacted.
        groups: the numbers of the rows that belong together.

    Returns:
        Index column and segment, first `all customers`. Columns: rows, churn_rate, auc,
        calibration (observed / predicted churners), selection (share contacted),
        reached (true positive rate), each but rows with `_low` and `_high`, 95 % each
        by itself; auc_promised; of the others churn_rate_rest, selection_rest and
        reached_rest; and the z scores z_auc, z_calibration, z_selection, z_reached. NaN
        where there are too few customers.
    """
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float64), probability.shape)
    every = _Rows(churned, probability, probability > limits, pd.factorize(groups)[0])
    everyone = np.ones(len(churned), dtype=bool)
    rows = {("all customers", ""): _measure(everyone, every)}
    seen = {everyone.tobytes()}
    for name in cuts:
        for value in cuts[name].value_counts().sort_index().index:
            inside = (cuts[name] == value).to_numpy(dtype=bool)
            if len(np.unique(every.groups[inside])) >= FEWEST and inside.tobytes() not in seen:
                seen.add(inside.tobytes())
                rows[(str(name), str(value))] = _measure(inside, every)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["column", "segment"])
    return table


def _measure(inside: Flags, every: _Rows) -> dict[str, float]:
    own = every.take(inside)
    y, p = own.churned, own.probability
    found: dict[str, float] = {"rows": len(y)}
    found |= _rate("churn_rate", own, y)
    found |= _auc(own)
    observed, predicted = float(y.sum()), float(p.sum()) or np.nan
    spread = _spread_of_churners(own)
    found |= _interval("calibration", observed / predicted, spread / predicted)
    found["z_calibration"] = (observed - predicted) / spread
    found |= _rate("selection", own, own.chosen)
    ended = own.take(y == 1)
    found |= _rate("reached", ended, ended.chosen)
    return found | _compare(inside, every)


def _spread_of_churners(rows: _Rows) -> float:
    """Return the standard error of the number of churners, if the probabilities are right."""
    if _are_alone(rows.groups):
        return float(np.sqrt(np.sum(rows.probability * (1 - rows.probability)))) or np.nan
    off = np.bincount(rows.groups, weights=rows.churned - rows.probability)
    return float(np.sqrt(np.sum(off**2))) or np.nan


def _are_alone(groups: Groups) -> bool:
    """Whether each row is a group of its own."""
    return len(groups) == int(groups.max(initial=-1)) + 1


def effective_size(values: npt.NDArray[Any], groups: Groups) -> float:
    """Return as how many independent rows these say what their mean is: the number of
    rows by Kish's design effect, at most all; of equal values, the number of groups.
    `groups` are numbered from 0.
    """
    size = len(values)
    if _are_alone(groups):
        return size
    off = values - values.mean()
    of_groups = np.bincount(groups, weights=off)
    within, between = float(off @ off), float(of_groups @ of_groups)
    if not within:
        return int(groups.max()) + 1
    return min(size * within / between, size) if between else size


def _rate(name: str, rows: _Rows, flags: npt.NDArray[Any]) -> dict[str, float]:
    """Return the share of the rows that are flagged, with Wilson's interval."""
    if not len(flags):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    z, share, of = 1.96, int(flags.sum()) / len(flags), effective_size(flags, rows.groups)
    middle, half = (
        share + z**2 / (2 * of),
        z * np.sqrt(share * (1 - share) / of + z**2 / (4 * of**2)),
    )
    low, high = ((middle + sign * half) / (1 + z**2 / of) for sign in (-1, 1))
    return {name: share, f"{name}_low": max(float(low), 0.0), f"{name}_high": min(float(high), 1.0)}


def _interval(name: str, value: float, error: float) -> dict[str, float]:
    return {name: value, f"{name}_low": value - 1.96 * error, f"{name}_high": value + 1.96 * error}


def _auc(rows: _Rows) -> dict[str, float]:
    """Return the AUC with its interval, and what the probabilities promise: the AUC if
    they were the truth.
    """
    churned, probability = rows.churned, rows.probability
    if has_few(churned, rows.groups) or probability.min() == probability.max():
        return dict.fromkeys(("auc", "auc_low", "auc_high", "auc_promised", "z_auc"), np.nan)
    places = _place(churned, probability)
    value, error = float(places[0].mean()), _error(*places, churned, rows.groups)
    both, weights = (
        np.concatenate([probability] * 2),
        np.concatenate([probability, 1 - probability]),
    )
    promised = float(
        roc_auc_score(np.repeat([1, 0], len(probability)), both, sample_weight=weights)
    )
    return _interval("auc", value, error) | {
        "auc_promised": promised,
        "z_auc": (value - promised) / max(error, 1e-9),
    }


def has_few(churned: Labels, groups: npt.NDArray[Any]) -> bool:
    """Whether there are too few independent churners, or stayers, for an AUC."""
    return min(repeats.count_groups(churned, groups)[1:]) < FEWEST_OF_CLASS


def compare_aucs(
    churned: Labels, one: Floats, other: Floats, groups: npt.NDArray[Any]
) -> tuple[float, float, float]:
    """Return the AUC of two models for the same customers, and the standard error of
    the difference. `groups` are the numbers of the rows that belong together.
    """
    first, second = _place(churned, one), _place(churned, other)
    differences = second[0] - first[0], second[1] - first[1]
    error = _error(*differences, churned, pd.factorize(groups)[0])
    return float(first[0].mean()), float(second[0].mean()), error


def _place(churned: Labels, probability: Floats) -> tuple[Floats, Floats]:
    """Return of each churner the share of stayers placed below, and of each stayer the
    share of churners above.

    The mean of either is the AUC, and their spreads make its standard error: DeLong,
    DeLong and Clarke-Pearson, Comparing the Areas under Two or More Correlated Receiver
    Operating Characteristic Curves (1988).
    """
    ended, stayed = probability[churned == 1], probability[churned == 0]
    ranks = rankdata(np.concatenate([ended, stayed]))
    above = (ranks[: len(ended)] - rankdata(ended)) / len(stayed)
    below = 1 - (ranks[len(ended) :] - rankdata(stayed)) / len(ended)
    return above, below


def _error(above: Floats, below: Floats, churned: Labels, groups: Groups) -> float:
    """Return the standard error of the mean of either; `above` is of the churners, `below`
    of the stayers, `groups` of all, numbered from 0.
    """
    if _are_alone(groups):
        return float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)))
    off = np.empty(len(churned))
    off[churned == 1] = (above - above.mean()) / len(above)
    off[churned == 0] = (below - below.mean()) / len(below)
    of_groups = np.bincount(groups, weights=off)
    number = len(of_groups)
    return float(np.sqrt(number / (number - 1) * np.sum(of_groups**2)))


def _compare(inside: Flags, every: _Rows) -> dict[str, float]:
    """Return the rates of the other customers, and how far those of a segment are off."""
    churned, chosen = every.churned, every.chosen
    rest: dict[str, float] = {
        "churn_rate_rest": float(churned[~inside].mean()) if not inside.all() else np.nan
    }
    for name, among in (
        ("selection", np.ones(len(churned), dtype=bool)),
        ("reached", churned == 1),
    ):
        own, others = chosen[inside & among], chosen[~inside & among]
        if not (len(own) and len(others)):
            rest |= {f"{name}_rest": np.nan, f"z_{name}": np.nan}
            continue
        both = chosen[among].mean()
        sizes = [
            effective_size(flags, pd.factorize(every.groups[part & among])[0])
            for flags, part in ((own, inside), (others, ~inside))
        ]
        error = float(np.sqrt(both * (1 - both) * (1 / sizes[0] + 1 / sizes[1]))) or np.nan
        rest |= {
            f"{name}_rest": float(others.mean()),
            f"z_{name}": float(own.mean() - others.mean()) / error,
        }
    return rest


def find_warnings(table: pd.DataFrame) -> list[str]:
    """Return where a model does badly or unfairly, in words, the clearest first; see
    the module for what that takes.
    """
    parts = table.drop(index=("all customers", ""))
    scores = [name for name in table if str(name).startswith("z_")]
    needed = float(norm.ppf(1 - _ALPHA / 2 / max(int(parts[scores].notna().sum().sum()), 1)))
    named = parts.set_axis([f"{column} = {value}" for column, value in parts.index])
    texts = {
        text: z
        for segment, row in named.iterrows()
        for text, z in _judge(str(segment), row, needed)
    }
    return sorted(texts, key=lambda text: (-texts[text], text))


def _judge(segment: str, row: pd.Series[Any], needed: float) -> Iterator[tuple[str, float]]:
    who = f"these {row['rows']:,.0f} customers"
    if row["z_auc"] < -needed and row["auc"] < row["auc_promised"] - _MATTERS["auc"]:
        promise = f"where its probabilities promise {row['auc_promised']:.3f}"
        yield (
            f"{segment}: the model orders {who} badly: AUC {_shown(row, 'auc', '.3f')}, {promise}",
            -row["z_auc"],
        )
    if abs(row["z_calibration"]) > needed and abs(row["calibration"] - 1) > _MATTERS["calibration"]:
        more, ratio = (
            "more" if row["calibration"] > 1 else "fewer",
            _shown(row, "calibration", ".2f"),
        )
        text = f"{segment}: {more} of {who} churn than predicted: observed / predicted {ratio}"
        yield text, abs(row["z_calibration"])
    for name, what in (("selection", "contacted"), ("reached", "of the churners reached")):
        if _is_unfair(row, name, needed):
            rates = f"churn rates are {row['churn_rate']:.1%} and {row['churn_rate_rest']:.1%}"
            others = f"of the other customers {row[f'{name}_rest']:.1%}"
            rest = f"{others}, where the {rates}: is that fair?"
            yield f"{segment}: {_shown(row, name, '.1%')} are {what}, {rest}", abs(row[f"z_{name}"])


def _is_unfair(row: pd.Series[Any], name: str, needed: float) -> bool:
    """Tell whether a rate is off beyond chance, by an amount that matters, and not for
    the churn rate's sake.
    """
    rate, rest = row[name], row[f"{name}_rest"]
    if not abs(row[f"z_{name}"]) > needed or abs(rate - rest) < _MATTERS["rate"]:
        return False
    if min(rate, rest) >= _FOUR_FIFTHS * max(rate, rest):
        return False
    low, high = (row["churn_rate"], row["churn_rate_rest"])[:: 1 if rate < rest else -1]
    return bool(low >= _FOUR_FIFTHS * high)


def _shown(row: pd.Series[Any], name: str, form: str) -> str:
    return f"{row[name]:{form}} ({row[f'{name}_low']:{form}} to {row[f'{name}_high']:{form}})"


def tabulate(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table to read: rows, and each measure with its interval."""
    forms = {
        "churn_rate": ".1%",
        "auc": ".3f",
        "calibration": ".2f",
        "selection": ".1%",
        "reached": ".1%",
    }
    shown = {
        name: [_shown(row, name, form) for _, row in table.iterrows()]
        for name, form in forms.items()
    }
    read = pd.DataFrame({"rows": table["rows"].astype("int64")} | shown, index=table.index)
    read = read.rename(
        columns={"churn_rate": "churn rate", "auc": "AUC", "calibration": "observed / predicted"}
    )
    return read.rename(columns={"selection": "contacted", "reached": "churners reached"})
