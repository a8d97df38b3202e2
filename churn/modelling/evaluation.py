"""What a model is worth: nested cross-validation, metrics with their standard errors and
intervals, and the curves behind them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_curve
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from churn.modelling.candidates import Contest
from churn.modelling.metrics import METRICS, measure, roc_auc
from churn.modelling.processes import run_all
from churn.modelling.search import pick_rows, predict_tuned
from churn.modelling.splitting import Examples, Split, find_groups
from churn.tables import repeats

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Curve = Callable[[Labels, Floats, Floats], Floats]
GRID = np.linspace(0, 1, 51)  # of curves, to take the mean over folds
FOLD = ["model", "repeat", "fold"]
SHARES = (0.25, 0.5, 1.0)  # of the training customers, in the learning curve
_DRAWS_A_JOB = 25


def find_problems(
    training: pd.DataFrame,
    names: Iterable[str],
    customer_id: str,
    *,
    min_customers: int,
    min_customers_a_class: int,
    repeats_customers: bool = False,
) -> list[str]:
    """Say why no model can be trained: absent features, too few customers, rows that
    repeat (unless `repeats_customers`) or lack answers. Rows of one group count once.
    """
    problems = [
        f"feature {name!r} is not in the training set" for name in names if name not in training
    ]
    is_known = training["churned"].isin([0, 1])
    known, groups = training.loc[is_known, "churned"], find_groups(training)
    number = len(np.unique(groups))
    _, ended, stayed = repeats.count_groups(known.to_numpy(), groups[is_known])
    if number < min_customers:
        problems.append(
            f"{number:,} customers: expected at least {min_customers:,} (min_customers)"
        )
    for value, what, count in ((0, "stayed", stayed), (1, "churned", ended)):
        if count < min_customers_a_class:
            few = f"{count:,} of {number:,} customers {what} (churned = {value})"
            problems.append(
                f"{few}: expected at least {min_customers_a_class:,} (min_customers_a_class)"
            )
    keys = [name for name in (customer_id, "as_of") if name in training]
    if (repeated := int(training.duplicated(keys).sum())) and not repeats_customers:
        problems.append(
            f"{repeated:,} rows repeat a {' and '.join(keys)}: "
            "expected one row per customer and day"
        )
    if unknown := int((~is_known).sum()):
        problems.append(f"{unknown:,} rows have another value than 0 and 1 in churned")
    return problems


def cross_validate(
    contest: Contest, train: Examples, splits: Sequence[Split], *, folds: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tune and fit each candidate anew on the training part of each fold, and predict the rest.

    `splits` are the positions of training and test rows: those of the `folds` of one
    repeat after the other.

    Returns:
        The out-of-fold predictions (columns model, repeat, fold, row, churned,
        probability; `row` is a position in `train`), in the order of the candidates, and
        the settings that each fold chose: columns repeat, fold, `<model>.<setting>`.
    """
    jobs = [(contest, train, split) for split in splits]
    fitted = run_all(predict_tuned, jobs, rows=sum(len(rows) for rows, _ in splits))
    predictions: dict[str, list[pd.DataFrame]] = {name: [] for name in contest.names}
    settings = []
    for index, ((_, test), (predicted, chosen)) in enumerate(zip(splits, fitted, strict=True)):
        fold = {"repeat": index // folds, "fold": index % folds}
        settings.append(fold | chosen)
        for name, probability in predicted.items():
            answers = {"row": test, "churned": train.churned[test], "probability": probability}
            predictions[name].append(pd.DataFrame({"model": name} | fold | answers))
    print(f"Each candidate was tuned and fitted {len(splits)} times.")
    tables = itertools.chain.from_iterable(predictions.values())
    return pd.concat(tables, ignore_index=True), pd.json_normalize(settings)


def measure_folds(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of each fold: a row for each model, repeat and fold."""
    names = ["model", "repeat", "fold"]
    parts = dict([*predictions.groupby(names, sort=False)])
    jobs = [(part["churned"].to_numpy(), part["probability"].to_numpy()) for part in parts.values()]
    measured = run_all(measure, jobs, rows=0)
    return pd.DataFrame(measured, pd.MultiIndex.from_tuples(parts, names=names)).reset_index()


def tabulate(scores: pd.DataFrame, folds: int) -> dict[str, pd.DataFrame]:
    """Return for each model the mean of each metric over the folds, its standard
    deviation and its standard error.
    """
    tables = {}
    for name, part in scores.groupby("model", sort=False):
        each = part[list(METRICS)]
        tables[str(name)] = pd.DataFrame(
            {"mean": each.mean(), "std": each.std(), "se": standard_error(each, folds)}
        ).T
    return tables


def learn_more(
    contest: Contest, train: Examples, splits: Sequence[Split], known: pd.DataFrame, *, seed: int
) -> pd.DataFrame:
    """Tune and fit the last candidate of a contest on a quarter and a half of the training
    part of each fold, and measure it on the rest.

    `known` are its metrics with all of the training part, a row for each split. Each part
    has settings of its own: those of all customers would be too large for a quarter of them.

    Returns:
        Columns share, customers (rows fitted on), fold, and the metrics. Smaller parts
        lie within larger ones.
    """
    shares = [(fold, share) for fold in range(len(splits)) for share in SHARES[:-1]]
    parts = [_take_share(train, splits[fold], share, seed) for fold, share in shares]
    jobs = [(contest, train, part) for part in parts]
    fitted = run_all(predict_tuned, jobs, rows=len(train) * len(splits))
    measured = pd.DataFrame(
        [
            measure(train.churned[asked], predicted[contest.names[-1]])
            for (_, asked), (predicted, _) in zip(parts, fitted, strict=True)
        ]
    )
    measured[["fold", "share"]] = shares
    measured["customers"] = [len(fitted_on) for fitted_on, _ in parts]
    whole = known[list(METRICS)].assign(fold=range(len(splits)), share=SHARES[-1])
    whole["customers"] = [len(fitted_on) for fitted_on, _ in splits]
    return pd.concat([measured, whole], ignore_index=True)


def _take_share(examples: Examples, split: Split, share: float, seed: int) -> Split:
    train, test = split
    most = math.ceil(share * len(train))
    return train[pick_rows(examples.groups[train], most, seed)], test


def tell_whether_more_helps(curve: pd.DataFrame, folds: int, edges: Sequence[str] = ()) -> str:
    """Say what the last doubling of the customers brought, and whether more of them would help.

    That is not known of a model that may be too small: one with settings at the edges of
    what was tried.
    """
    losses = curve.pivot(index="fold", columns="share", values="log_loss")
    gained = pd.DataFrame({"last": losses[SHARES[-2]] - losses[SHARES[-1]]})
    gain, error = float(gained["last"].mean()), float(standard_error(gained, folds)["last"])
    brought = (
        f"Twice the customers changed the log loss by {-gain:+.4f} (standard error {error:.4f})"
    )
    if edges:
        return f"{brought}, but let the search go further first: {'; '.join(edges)}."
    if gain > 2 * error:
        return f"{brought}: more customers would help."
    if gain > error:
        return f"{brought}: more customers may help a little."
    return f"{brought}: more customers of this kind would hardly help; better features might."


def few_threads(rows: int) -> threadpool_limits:
    """Compute in one thread while the block runs, unless there are many rows.

    On few rows threads wait for each other more than they work, and wait very long when
    another program is busy.
    """
    return threadpool_limits(1 if rows < 50_000 else None)


def standard_error(values: pd.DataFrame, folds: int) -> pd.Series[Any]:
    """Return the standard error of the mean of each column, which has a row for each
    fold of each repeat.

    The folds share training customers, so that std / sqrt(n) is far too small.
    Corrected after Nadeau and Bengio, Inference for the Generalization Error (2003):
    std * sqrt(1 / n + test size / training size).
    """
    spread: pd.Series[Any] = values.std()
    return spread * math.sqrt(1 / len(values) + 1 / (folds - 1))


def bootstrap(test: Examples, probability: Floats, *, samples: int, seed: int) -> pd.DataFrame:
    """Return each metric with the bounds of its 95 % interval: customers drawn again
    with replacement, percentiles.

    Rows of one group are drawn together. A draw with one class only is left out.
    """
    churned = test.churned
    code = pd.factorize(test.groups)[0]
    order, sizes = np.argsort(code, kind="stable"), np.bincount(code)
    starts = np.cumsum(sizes) - sizes
    random, draws = np.random.default_rng(seed), []
    for _ in range(samples):
        taken = random.integers(len(sizes), size=len(sizes))
        within = np.arange(sizes[taken].sum()) - np.repeat(
            np.cumsum(sizes[taken]) - sizes[taken], sizes[taken]
        )
        rows = order[np.repeat(starts[taken], sizes[taken]) + within]
        if 0 < churned[rows].sum() < len(rows):
            draws.append(rows)
    jobs = [
        (churned, probability, draws[first : first + _DRAWS_A_JOB])
        for first in range(0, len(draws), _DRAWS_A_JOB)
    ]
    measured = run_all(_measure_draws, jobs, rows=0)
    drawn = list(itertools.chain.from_iterable(measured))
    found = pd.DataFrame(drawn, columns=list(METRICS))
    table = {
        "test": measure(churned, probability),
        "low": found.quantile(0.025),
        "high": found.quantile(0.975),
    }
    return pd.DataFrame(table)


def _measure_draws(
    churned: Labels, probability: Floats, draws: Sequence[npt.NDArray[np.intp]]
) -> list[dict[str, float]]:
    return [measure(churned[rows], probability[rows]) for rows in draws]


def permute_features(
    model: Any, test: Examples, *, most_rows: int, repeats: int, seed: int
) -> pd.DataFrame:
    """Return how much ROC AUC a fitted model loses when one feature is shuffled among at
    most so many rows: a column for each feature, a row for each repeat.

    Source: Breiman, Random Forests (2001). All repeats are asked at once: with a pipeline,
    scikit-learn's `permutation_importance` is several times slower.
    """
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(test))[:most_rows])
    asked = test.take(rows)
    orders = [random.permutation(len(rows)) for _ in range(repeats)]
    jobs = [(model, asked, name, orders) for name in asked.features]
    lost = run_all(_permute_feature, jobs, rows=0)
    before = roc_auc(asked.churned, model.predict_proba(asked.features)[:, 1])
    return pd.DataFrame(dict(zip(asked.features, before - np.array(lost), strict=True)))


def _permute_feature(
    model: Any, asked: Examples, name: str, orders: Sequence[npt.NDArray[np.intp]]
) -> list[float]:
    repeated = pd.concat([asked.features] * len(orders), ignore_index=True)
    repeated[name] = pd.concat([asked.features[name].iloc[order] for order in orders]).to_numpy()
    probability = model.predict_proba(repeated)[:, 1].reshape(len(orders), -1)
    return [roc_auc(asked.churned, each) for each in probability]


def name_metrics(
    tables: Mapping[str, pd.DataFrame], chosen: str, test: pd.DataFrame
) -> dict[str, float]:
    """Name what was measured as MLflow and the run's record call it.

    Args:
        tables: of each model, with rows mean, std and se and a column for each metric:
            `<model>/cv_<metric>`, with `_std` and `_se`.
        chosen: the model whose metrics are also called `cv_<metric>`.
        test: a row for each metric, with columns test, low and high: `test_<metric>`,
            with `_low` and `_high`.
    """
    names = _name(tables[chosen], "cv_") | _name(test[["test", "low", "high"]].T, "test_")
    for model, table in tables.items():
        names |= _name(table, f"{model}/cv_")
    return names


_ENDINGS = {"mean": "", "std": "_std", "se": "_se", "test": "", "low": "_low", "high": "_high"}


def _name(table: pd.DataFrame, prefix: str) -> dict[str, float]:
    rows = table.to_dict("index").items()
    return {
        f"{prefix}{m}{_ENDINGS[str(part)]}": float(value)
        for part, row in rows
        for m, value in row.items()
        if math.isfinite(value)
    }


def roc(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the true positive rate at each false positive rate of the grid."""
    false_positive, true_positive, _ = roc_curve(churned, probability)
    heights: Floats = np.interp(grid, false_positive, true_positive)
    return heights


def precision_recall(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the precision at each recall of the grid, NaN at 0.

    Between two points of the curve the counts are interpolated, not the precision:
    Davis and Goadrich, The Relationship Between Precision-Recall and ROC Curves (2006).
    """
    false_positive, true_positive, _ = roc_curve(churned, probability)
    rate = churned.mean()
    hits, misses = grid * rate, np.interp(grid, true_positive, false_positive) * (1 - rate)
    precision: Floats = np.divide(
        hits, hits + misses, out=np.full(len(grid), np.nan), where=grid > 0
    )
    return precision


def gain(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the share of all churners found among each share of customers, highest
    probability first.
    """
    false_positive, true_positive, _ = roc_curve(churned, probability)
    rate = churned.mean()
    found: Floats = np.interp(
        grid, true_positive * rate + false_positive * (1 - rate), true_positive
    )
    return found


def curve_of_folds(predictions: pd.DataFrame, curve: Curve) -> pd.DataFrame:
    """Return a curve of each fold of each model on one grid: columns model, repeat, fold, x, y."""

    def each() -> Iterator[pd.DataFrame]:
        for (model, repeat, fold), part in predictions.groupby(FOLD, sort=False):
            y = curve(part["churned"].to_numpy(), part["probability"].to_numpy(), GRID)
            yield pd.DataFrame({"model": model, "repeat": repeat, "fold": fold, "x": GRID, "y": y})

    return pd.concat(each(), ignore_index=True)


def reliability(predictions: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Compare predicted with observed churn in `bins` equally large groups of rising
    probability, in each fold.

    Returns:
        For each model and group the mean predicted probability, the observed churn
        rate, and its standard deviation over the folds.
    """
    rank = predictions.groupby(FOLD)["probability"].rank(method="first", pct=True)
    group = np.ceil(rank * bins).clip(1, bins).astype("int64").rename("group")
    each = (
        predictions.rename(columns={"churned": "observed"})
        .groupby([*FOLD, group])[["probability", "observed"]]
        .mean()
    )
    means = each.groupby(["model", "group"]).mean()
    return means.assign(spread=each["observed"].groupby(["model", "group"]).std()).reset_index()
