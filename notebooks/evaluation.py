"""What a model is worth: nested cross-validation, metrics with their standard errors and intervals."""

from __future__ import annotations

import math
import site
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib.externals.loky import ProcessPoolExecutor  # type: ignore[import-untyped]
from sklearn.base import clone
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
)
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import calibration
from candidates import NAMES, Space, pick_rows, predict_tuned
from splitting import Split

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
_WORTH_PROCESSES = 60_000  # rows to fit, of all folds together: starting the processes takes two seconds
_MOST_PROCESSES = 8  # each has a copy of the features


def lift(churned: Labels, probability: Floats, share: float = 0.1) -> float:
    """Return the churn rate among the `share` of customers with the highest probability, over that of all.

    Customers with equal probability count with the rate of their group, so that no order among them is assumed.
    """
    _, group, sizes = np.unique(-probability, return_inverse=True, return_counts=True)
    rates = np.bincount(group, weights=churned) / sizes
    before = np.cumsum(sizes) - sizes
    taken = np.clip(share * len(churned) - before, 0, sizes)
    return float(np.average(rates, weights=taken) / np.mean(churned))


METRICS: dict[str, Callable[[Labels, Floats], float]] = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
    "log_loss": log_loss,
    "brier": brier_score_loss,
    "lift_at_10": lift,
    "calibration_slope": calibration.slope,
    "calibration_error": calibration.expected_error,
}


def measure(churned: Labels, probability: Floats) -> dict[str, float]:
    """Return every metric of `METRICS`; log loss, Brier score and calibration error are better when lower."""
    return {name: float(metric(churned, probability)) for name, metric in METRICS.items()}


def find_problems(
    training: pd.DataFrame, names: Iterable[str], customer_id: str, *, min_customers: int, min_customers_a_class: int
) -> list[str]:
    """Say why no model can be trained: absent features, too few customers, rows that repeat or lack answers."""
    problems = [f"feature {name!r} is not in the training set" for name in names if name not in training]
    counts = training["churned"].value_counts().reindex([0, 1], fill_value=0)
    if len(training) < min_customers:
        problems.append(f"{len(training):,} customers: expected at least {min_customers:,} (min_customers)")
    for value, what in ((0, "stayed"), (1, "churned")):
        if counts[value] < min_customers_a_class:
            few = f"{counts[value]:,} of {len(training):,} customers {what} (churned = {value})"
            problems.append(f"{few}: expected at least {min_customers_a_class:,} (min_customers_a_class)")
    keys = [name for name in (customer_id, "as_of") if name in training]
    if repeated := int(training.duplicated(keys).sum()):
        problems.append(f"{repeated:,} rows repeat a {' and '.join(keys)}: expected one row per customer and day")
    if unknown := len(training) - int(counts.sum()):
        problems.append(f"{unknown:,} rows have another value than 0 and 1 in churned")
    return problems


def cross_validate(
    space: Space, features: pd.DataFrame, churned: Labels, groups: Labels, splits: Sequence[Split], *, folds: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tune and fit each candidate anew on the training part of each fold, and predict the rest.

    `splits` are the positions of training and test rows: those of the `folds` of one repeat after the other.

    Returns:
        The out-of-fold predictions (columns model, repeat, fold, row, churned, probability; `row` is a position in
        `features`), and the settings that each fold chose.
    """
    jobs = [(space, features, churned, groups, split) for split in splits]
    fitted = run_all(predict_tuned, jobs, rows=sum(len(train) for train, _ in splits))
    predictions, settings = [], []
    for index, ((_, test), (predicted, chosen)) in enumerate(zip(splits, fitted, strict=True)):
        fold = {"repeat": index // folds, "fold": index % folds}
        settings.append(fold | chosen)
        for name, probability in predicted.items():
            key = {"model": name} | fold | {"row": test, "churned": churned[test], "probability": probability}
            predictions.append(pd.DataFrame(key))
    print(f"Each candidate was tuned and fitted {len(splits)} times.")
    table = pd.concat(predictions, ignore_index=True)
    return table.sort_values("model", key=_in_order, kind="stable", ignore_index=True), pd.DataFrame(settings)


def _in_order(models: pd.Series[Any]) -> pd.Series[Any]:
    return models.map({name: place for place, name in enumerate(NAMES)})


def measure_folds(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of each fold: a row for each model, repeat and fold."""
    parts = predictions.groupby(["model", "repeat", "fold"], sort=False)
    rows = {key: measure(part["churned"].to_numpy(), part["probability"].to_numpy()) for key, part in parts}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["model", "repeat", "fold"]).reset_index()


def tabulate(scores: pd.DataFrame, folds: int) -> dict[str, pd.DataFrame]:
    """Return for each model the mean of each metric over the folds, its standard deviation and its standard error."""
    tables = {}
    for name, part in scores.groupby("model", sort=False):
        each = part[list(METRICS)]
        tables[str(name)] = pd.DataFrame({"mean": each.mean(), "std": each.std(), "se": standard_error(each, folds)}).T
    return tables


def run_all(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], *, rows: int) -> list[Any]:
    """Return the function's answer to each job, in order: in processes of their own where there is much to do.

    No process is left behind. How many there are changes nothing in the answers.
    """
    processes = min(joblib.cpu_count(), _MOST_PROCESSES, len(jobs)) if rows >= _WORTH_PROCESSES else 1
    if processes == 1:
        return [function(*job) for job in jobs]
    # A kernel finds the modules here by its working directory, which its processes do not know.
    with ProcessPoolExecutor(processes, initializer=site.addsitedir, initargs=(str(Path(__file__).parent),)) as pool:
        return list(pool.map(function, *zip(*jobs, strict=True)))


def learn_more(
    model: Any, features: pd.DataFrame, churned: Labels, groups: Labels, splits: Sequence[Split], *, seed: int
) -> pd.DataFrame:
    """Fit an unfitted model on a quarter, a half and all of the training part of each fold, and measure it on the rest.

    Returns:
        Columns share, customers (rows fitted on), fold, and the metrics. Smaller parts lie within larger ones.
    """
    jobs = [(model, features, churned, groups, split, share, seed) for split in splits for share in SHARES]
    measured = run_all(_measure_share, jobs, rows=2 * sum(len(train) for train, _ in splits))
    folds = [fold for fold in range(len(splits)) for _ in SHARES]
    return pd.DataFrame([{"fold": fold} | found for fold, found in zip(folds, measured, strict=True)])


SHARES = (0.25, 0.5, 1.0)


def _measure_share(
    model: Any, features: pd.DataFrame, churned: Labels, groups: Labels, split: Split, share: float, seed: int
) -> dict[str, float]:
    train, test = split
    train = train[pick_rows(groups[train], math.ceil(share * len(train)), seed)]
    with threadpool_limits(1):
        fitted = clone(model).fit(features.iloc[train], churned[train])
    found = measure(churned[test], fitted.predict_proba(features.iloc[test])[:, 1])
    return {"share": share, "customers": len(train)} | found


def tell_whether_more_helps(curve: pd.DataFrame, folds: int) -> str:
    """Say what the last doubling of the customers brought, and whether more of them would help."""
    losses = curve.pivot(index="fold", columns="share", values="log_loss")
    gained = pd.DataFrame({"last": losses[SHARES[-2]] - losses[SHARES[-1]]})
    gain, error = float(gained["last"].mean()), float(standard_error(gained, folds)["last"])
    brought = f"Twice the customers changed the log loss by {-gain:+.4f} (standard error {error:.4f})"
    if gain > 2 * error:
        return f"{brought}: more customers would help."
    if gain > error:
        return f"{brought}: more customers may help a little."
    return f"{brought}: more customers of this kind would hardly help; better features might."


def few_threads(rows: int) -> threadpool_limits:
    """Compute in one thread while the block runs, unless there are many rows.

    On few rows threads wait for each other more than they work, and wait very long when another program is busy.
    """
    return threadpool_limits(1 if rows < 50_000 else None)


def standard_error(values: pd.DataFrame, folds: int) -> pd.Series[Any]:
    """Return the standard error of the mean of each column, which has a row for each fold of each repeat.

    The folds share training customers, so that std / sqrt(n) is far too small. Corrected after Nadeau and Bengio,
    Inference for the Generalization Error (2003): std * sqrt(1 / n + test size / training size).
    """
    spread: pd.Series[Any] = values.std()
    return spread * math.sqrt(1 / len(values) + 1 / (folds - 1))


def best_f1_threshold(churned: Labels, probability: Floats) -> float:
    """Return the probability from which on to call a customer a churner, so that F1 is highest."""
    precision, recall, thresholds = precision_recall_curve(churned, probability)
    f1 = 2 * precision[:-1] * recall[:-1] / np.maximum(precision[:-1] + recall[:-1], 1e-12)
    return float(thresholds[int(np.argmax(f1))])


def at_threshold(churned: Labels, probability: Floats, threshold: float) -> dict[str, float]:
    """Return precision, recall, F1 and the share of customers at or above a threshold."""
    called = probability >= threshold
    hits = float(churned[called].sum())
    precision, recall = hits / max(int(called.sum()), 1), hits / max(int(churned.sum()), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-12)
    return {"precision": precision, "recall": recall, "f1": f1, "share_called": float(called.mean())}


def bootstrap(churned: Labels, probability: Floats, *, samples: int, seed: int, groups: Labels) -> pd.DataFrame:
    """Return each metric with the bounds of its 95 % interval: customers drawn again with replacement, percentiles.

    Rows of one group are drawn together. A draw with one class only is left out.
    """
    code = pd.factorize(groups)[0]
    order, sizes = np.argsort(code, kind="stable"), np.bincount(code)
    starts = np.cumsum(sizes) - sizes
    random, drawn = np.random.default_rng(seed), []
    for _ in range(samples):
        taken = random.integers(len(sizes), size=len(sizes))
        within = np.arange(sizes[taken].sum()) - np.repeat(np.cumsum(sizes[taken]) - sizes[taken], sizes[taken])
        rows = order[np.repeat(starts[taken], sizes[taken]) + within]
        if 0 < churned[rows].sum() < len(rows):
            drawn.append(measure(churned[rows], probability[rows]))
    found = pd.DataFrame(drawn, columns=list(METRICS))
    table = {"test": measure(churned, probability), "low": found.quantile(0.025), "high": found.quantile(0.975)}
    return pd.DataFrame(table)


def name_metrics(tables: Mapping[str, pd.DataFrame], chosen: str, test: pd.DataFrame) -> dict[str, float]:
    """Name what was measured as MLflow and the run's record call it.

    Args:
        tables: of each model, with rows mean, std and se and a column for each metric: `<model>/cv_<metric>`, with
            `_std` and `_se`.
        chosen: the model whose metrics are also called `cv_<metric>`.
        test: a row for each metric, with columns test, low and high: `test_<metric>`, with `_low` and `_high`.
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
