"""Model building: features as the pipelines want them, encodings, repeated cross-validation and what is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    SplineTransformer,
)
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from splitting import Split

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def as_features(frame: pd.DataFrame, numbers: list[str], categories: list[str]) -> pd.DataFrame:
    """Select features as every pipeline is fitted and asked with: finite float64 or NaN, text or NaN."""
    features = frame[[*numbers, *categories]].astype(dict.fromkeys(numbers, "float64"))
    features[numbers] = features[numbers].replace([np.inf, -np.inf], np.nan)
    for name in categories:
        features[name] = frame[name].astype(object).where(frame[name].notna(), np.nan)
    features.columns = pd.Index([*numbers, *categories], dtype=object)
    return features


def encode_for_linear(numbers: list[str], categories: list[str], *, knots: int, rare: int, seed: int) -> Any:
    """Encode for a linear model: ranks in cubic splines, flags for missing numbers, one column a category.

    Ranks make the splines indifferent to outliers and skew. Categories rarer than `rare` share one column with those
    that were never seen.
    """
    ranks = QuantileTransformer(n_quantiles=200, random_state=seed)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    encoder = OneHotEncoder(min_frequency=rare, handle_unknown="infrequent_if_exist", sparse_output=False)
    return ColumnTransformer(
        [
            ("number", make_pipeline(imputer, ranks, SplineTransformer(n_knots=knots)), numbers),
            ("missing", MissingIndicator(error_on_new=False), numbers),
            ("category", make_pipeline(_name_missing(), encoder), categories),
        ]
    )


def encode_for_trees(numbers: list[str], categories: list[str], *, rare: int) -> Any:
    """Encode for gradient boosting: numbers with flags for missing ones, categories as codes; rare ones share a code.

    The codes come first, so that `categorical_features=[0, 1, …]` names them. Missing numbers are imputed
    since scikit-learn 1.9 fails to bin a number that is missing for every training customer.
    """
    imputer = SimpleImputer(strategy="median", keep_empty_features=True, add_indicator=True)
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        min_frequency=rare,
        max_categories=254,  # scikit-learn's boosting takes 255 codes at most
    )
    codes = make_pipeline(_name_missing(), encoder)
    return ColumnTransformer([("category", codes, categories), ("number", imputer, numbers)])


def _name_missing() -> Any:
    """Make a category of what is missing: the encoders fail where it is missing for all, or in scoring only."""
    return SimpleImputer(strategy="constant", fill_value="(missing)", keep_empty_features=True)


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
}


def measure(churned: Labels, probability: Floats) -> dict[str, float]:
    """Return every metric of `METRICS`; log loss and Brier score are better when lower."""
    return {name: float(metric(churned, probability)) for name, metric in METRICS.items()}


def cross_validate(
    candidates: Mapping[str, Any], features: pd.DataFrame, churned: Labels, splits: Sequence[Split], *, folds: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit each candidate anew on the training part of each fold and measure it on the rest.

    `splits` are the positions of training and test rows: those of the `folds` of one repeat after the other.

    Returns:
        The metrics (a row for each model, repeat and fold), and the out-of-fold predictions (columns model, repeat,
        fold, row, churned, probability; `row` is a position in `features`).
    """
    scores, predictions = [], []
    for name, candidate in candidates.items():
        for index, (train, test) in enumerate(splits):
            with few_threads(len(train)):
                fitted = clone(candidate).fit(features.iloc[train], churned[train])
                probability = fitted.predict_proba(features.iloc[test])[:, 1]
            key = {"model": name, "repeat": index // folds, "fold": index % folds}
            scores.append(key | measure(churned[test], probability))
            predictions.append(pd.DataFrame(key | {"row": test, "churned": churned[test], "probability": probability}))
        print(f"{name}: fitted {len(splits)} times")
    return pd.DataFrame(scores), pd.concat(predictions, ignore_index=True)


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


def bootstrap(churned: Labels, probability: Floats, *, samples: int, seed: int) -> pd.DataFrame:
    """Return each metric with the bounds of its 95 % interval: customers drawn again with replacement, percentiles.

    A draw with one class only is left out.
    """
    draws = np.random.default_rng(seed).integers(len(churned), size=(samples, len(churned)))
    drawn = pd.DataFrame([measure(churned[d], probability[d]) for d in draws if len(np.unique(churned[d])) == 2])
    low, high = drawn.quantile(0.025), drawn.quantile(0.975)
    return pd.DataFrame({"test": measure(churned, probability), "low": low, "high": high})


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
    return {f"{prefix}{m}{_ENDINGS[str(part)]}": float(value) for part, row in rows for m, value in row.items()}


Curve = Callable[[Labels, Floats, Floats], Floats]
GRID = np.linspace(0, 1, 51)


def roc(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the true positive rate at each false positive rate of the grid."""
    false_positive, true_positive, _ = roc_curve(churned, probability)
    heights: Floats = np.interp(grid, false_positive, true_positive)
    return heights


def precision_recall(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the precision at each recall of the grid, NaN at 0.

    Between two points of the curve the counts are interpolated, not the precision: Davis and Goadrich, The Relationship
    Between Precision-Recall and ROC Curves (2006).
    """
    false_positive, true_positive, _ = roc_curve(churned, probability)
    rate = churned.mean()
    hits, misses = grid * rate, np.interp(grid, true_positive, false_positive) * (1 - rate)
    precision: Floats = np.divide(hits, hits + misses, out=np.full(len(grid), np.nan), where=grid > 0)
    return precision


def gain(churned: Labels, probability: Floats, grid: Floats) -> Floats:
    """Return the share of all churners found among each share of customers, highest probability first."""
    false_positive, true_positive, _ = roc_curve(churned, probability)
    rate = churned.mean()
    found: Floats = np.interp(grid, true_positive * rate + false_positive * (1 - rate), true_positive)
    return found


def curves(predictions: pd.DataFrame, curve: Curve) -> pd.DataFrame:
    """Return a curve of each fold of each model on one grid: columns model, repeat, fold, x, y."""

    def of_folds() -> Iterator[pd.DataFrame]:
        for (model, repeat, fold), part in predictions.groupby(["model", "repeat", "fold"], sort=False):
            y = curve(part["churned"].to_numpy(), part["probability"].to_numpy(), GRID)
            yield pd.DataFrame({"model": model, "repeat": repeat, "fold": fold, "x": GRID, "y": y})

    return pd.concat(of_folds(), ignore_index=True)


def calibration(predictions: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Compare predicted with observed churn in `bins` equally large groups of rising probability, in each fold.

    Returns:
        For each model and group the mean predicted probability, the observed churn rate, and its standard deviation
        over the folds.
    """
    fold = ["model", "repeat", "fold"]
    rank = predictions.groupby(fold)["probability"].rank(method="first", pct=True)
    group = np.ceil(rank * bins).clip(1, bins).astype("int64").rename("group")
    each = (
        predictions.rename(columns={"churned": "observed"}).groupby([*fold, group])[["probability", "observed"]].mean()
    )
    means = each.groupby(["model", "group"]).mean()
    return means.assign(spread=each["observed"].groupby(["model", "group"]).std()).reset_index()
