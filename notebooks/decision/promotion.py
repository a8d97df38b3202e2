"""The promotion gate: a new model, the challenger, meets the one in use, the champion, on customers untouched by both.

It takes the champion's place only if it is better beyond chance (a paired bootstrap of the difference; see `Promotion`
for the rules), and not clearly worse in calibration, in any segment, in profit, in speed or in size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm  # type: ignore[import-untyped]
from sklearn.metrics import average_precision_score, roc_auc_score

import evaluation
from decision import profit, segments
from params import Promotion

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

COLUMNS = ["champion", "challenger", "difference", "at worst", "rule", "passed"]
_CLIP = 1e-15
_SCORED = 1_000  # customers that the time of scoring is told for
_CHUNK = 100  # draws at a time
_ALPHA = 0.05  # of the evidence that a segment is worse, all segments together
_LOWER_IS_BETTER = ("log_loss", "brier")


@dataclass(frozen=True)
class Ground:
    """The untouched customers on whom two models meet, and what contacting them costs and brings."""

    churned: Labels
    groups: npt.NDArray[Any]  # rows of one group are drawn together
    values: Floats  # of each customer; see profit.values_of
    cuts: pd.DataFrame  # segments; see segments.cut
    money: profit.Money

    def part(self, rows: Flags) -> Ground:
        """Return the part that these rows are."""
        cuts = self.cuts.loc[rows].reset_index(drop=True)
        return Ground(self.churned[rows], self.groups[rows], self.values[rows], cuts, self.money)


@dataclass(frozen=True)
class Effort:
    """What a model costs to use: milliseconds to score 1,000 customers, and bytes of its file."""

    milliseconds: float
    size: int


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, in words, and the evidence: a row for each check, columns `COLUMNS`."""

    promoted: bool
    sentence: str
    evidence: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))

    @property
    def failed(self) -> list[str]:
        """The names of the checks that the challenger did not pass."""
        return [str(name) for name in self.evidence.index[~self.evidence["passed"].astype(bool)]]


def find_untouched(
    champion: Mapping[str, Any], challenger: Mapping[str, Any], places: Floats, days: pd.Series[Any] | None
) -> tuple[Flags, str]:
    """Return which of the challenger's test customers the champion has not seen either, and why there may be none.

    Args:
        champion: how its test set was drawn: `how`, `salt`, `test_share`, `test_from`; see `splitting`.
        challenger: the same of the challenger.
        places: of the challenger's test customers, in [0, 1), drawn with its salt.
        days: their as-of days, where they have some.
    """
    nobody = np.zeros(len(places), dtype=bool)
    if not champion.get("how"):
        return nobody, "how its test set was drawn is not recorded"
    if champion["how"] == "time":
        if days is None:
            return nobody, "its test set was drawn by time, and today's customers have no as-of day"
        return (days >= pd.Timestamp(champion["test_from"])).to_numpy(), ""
    if champion["salt"] != challenger["salt"]:
        return nobody, "its test set was drawn with another salt"
    return places < champion["test_share"], ""


def compare(
    ground: Ground, champion: Floats, challenger: Floats, rules: Promotion, efforts: Sequence[Effort], seed: int = 0
) -> Decision:
    """Compare two models by their probabilities for the same customers.

    Args:
        ground: the customers.
        champion: its probabilities.
        challenger: its probabilities.
        rules: of the gate.
        efforts: of champion and challenger.
        seed: of the bootstrap.
    """
    few = [
        f"{count:,} {what}, where it takes {least:,}"
        for count, what, least in (
            (len(ground.churned), "customers untouched by both", rules.fewest_customers),
            (int(ground.churned.sum()), "churners among them", rules.fewest_churners),
            (int((1 - ground.churned).sum()), "stayers among them", rules.fewest_churners),
        )
        if count < least
    ]
    if few:
        return Decision(False, f"too few to compare: {few[0]}")
    rows = dict(_check(ground, champion, challenger, rules, efforts, seed))
    evidence = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)
    decision = Decision(bool(evidence["passed"].all()), "", evidence)
    return Decision(decision.promoted, _say(decision, rules, len(ground.churned)), evidence)


def _check(
    ground: Ground, champion: Floats, challenger: Floats, rules: Promotion, efforts: Sequence[Effort], seed: int
) -> Iterator[tuple[str, list[Any]]]:
    both = (champion, challenger)
    old, new, at_worst = _bootstrap(ground, champion, challenger, rules, seed)
    better = f"worse by less than {rules.margin:g}" if rules.margin else "better beyond chance"
    passed = at_worst > -rules.margin
    yield rules.metric, [old, new, _gain(rules.metric, old, new), at_worst, better, passed]
    errors = [calibration_error(ground.churned, one) for one in both]
    rise = errors[1] - errors[0]
    rule = f"rises by at most {rules.calibration:g}"
    yield "calibration error", [*errors, -rise, np.nan, rule, rise <= rules.calibration]
    yield from _check_segments(ground, champion, challenger, rules)
    earned = [float(np.mean(_earn(ground, one))) for one in both]
    lost = earned[0] - earned[1]
    rule = f"at most {rules.profit:.0%} is lost"
    yield "profit per customer", [*earned, -lost, np.nan, rule, lost <= rules.profit * abs(earned[0])]
    times = [one.milliseconds for one in efforts]
    slow = f"at most {rules.latency_ms:g} ms"
    yield "ms per 1,000 customers", [*times, times[0] - times[1], np.nan, slow, times[1] <= rules.latency_ms]
    sizes = [one.size / 1e6 for one in efforts]
    large = f"at most {rules.size_mb:g} MB"
    yield "MB of the model", [*sizes, sizes[0] - sizes[1], np.nan, large, sizes[1] <= rules.size_mb]


def _gain(metric: str, old: float, new: float) -> float:
    """Return by how much the challenger is better."""
    return old - new if metric in _LOWER_IS_BETTER else new - old


def _bootstrap(
    ground: Ground, champion: Floats, challenger: Floats, rules: Promotion, seed: int
) -> tuple[float, float, float]:
    """Return the metric of both, and by how much the challenger is better at worst: the one-sided bound.

    Groups of rows are drawn with replacement, the same for both models.
    """
    code = pd.factorize(ground.groups)[0]
    random = np.random.default_rng(seed)
    losses = _LOSSES.get(rules.metric)
    if losses is not None:
        old, new = (losses(ground.churned, one) for one in (champion, challenger))
        return float(old.mean()), float(new.mean()), _bound(_draw_means(old - new, code, rules, random), rules)
    metric = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}[rules.metric]
    gains = []
    for _ in range(rules.samples):
        weights = np.bincount(random.integers(code.max() + 1, size=code.max() + 1), minlength=code.max() + 1)[code]
        if len(np.unique(ground.churned[weights > 0])) == 2:
            scores = [metric(ground.churned, one, sample_weight=weights) for one in (champion, challenger)]
            gains.append(scores[1] - scores[0])
    old_score, new_score = (float(metric(ground.churned, one)) for one in (champion, challenger))
    return old_score, new_score, _bound(np.array(gains), rules)


def _bound(gains: Floats, rules: Promotion) -> float:
    return float(np.quantile(gains, 1 - rules.confidence))


def _draw_means(values: Floats, code: npt.NDArray[np.intp], rules: Promotion, random: np.random.Generator) -> Floats:
    """Return the means of bootstrap draws of groups."""
    totals, sizes = np.bincount(code, weights=values), np.bincount(code)
    means = []
    for start in range(0, rules.samples, _CHUNK):
        drawn = random.integers(len(totals), size=(min(_CHUNK, rules.samples - start), len(totals)))
        means.append(totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)


def _log_losses(churned: Labels, probability: Floats) -> Floats:
    said = np.clip(np.where(churned == 1, probability, 1 - probability), _CLIP, 1)
    losses: Floats = -np.log(said)
    return losses


def _squares(churned: Labels, probability: Floats) -> Floats:
    squares: Floats = (probability - churned) ** 2
    return squares


_LOSSES: dict[str, Callable[[Labels, Floats], Floats]] = {"log_loss": _log_losses, "brier": _squares}


def calibration_error(churned: Labels, probability: Floats, bins: int = 10) -> float:
    """Return the expected calibration error: in ten groups of rising probability, how far the rates are off."""
    groups = np.array_split(np.argsort(probability, kind="stable"), bins)
    return float(sum(abs(churned[rows].sum() - probability[rows].sum()) for rows in groups) / len(churned))


def _earn(ground: Ground, probability: Floats) -> Floats:
    """Return what each customer brings if the model says whom to contact."""
    contacted = profit.expected_gain(probability, ground.values, ground.money) > 0
    return profit.actual_gain(ground.churned, ground.values, ground.money) * contacted


def _check_segments(
    ground: Ground, champion: Floats, challenger: Floats, rules: Promotion
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the segment whose AUC falls most, where any can be measured; it fails if too far, and beyond chance."""
    found = []
    for name in ground.cuts:
        for value, rows in ground.cuts[name].value_counts().sort_index().items():
            inside = (ground.cuts[name] == value).to_numpy()
            ended = int(ground.churned[inside].sum())
            if min(ended, rows - ended) >= segments.FEWEST_OF_CLASS:
                scores = segments.compare_aucs(ground.churned[inside], champion[inside], challenger[inside])
                found.append((scores[1] - scores[0], f"AUC, {name} = {value}", *scores))
    if not found:
        return
    fall, text, old, new, error = min(found)
    at_worst = fall + float(norm.ppf(1 - _ALPHA / len(found))) * error  # what is certain of it, all segments counted
    rule = f"falls by at most {rules.segment:g}, beyond chance"
    yield text, [old, new, fall, at_worst, rule, not (fall < -rules.segment and at_worst < 0)]


def measure_time(model: Any, features: pd.DataFrame, rounds: int = 3) -> float:
    """Return the milliseconds that a model takes to score 1,000 customers: the shortest of some rounds."""
    rows = features.sample(_SCORED, replace=len(features) < _SCORED, random_state=0)
    taken = []
    with evaluation.few_threads(_SCORED):
        for _ in range(rounds):
            start = time.perf_counter()
            model.predict_proba(rows)
            taken.append(time.perf_counter() - start)
    return 1_000 * min(taken)


def _say(decision: Decision, rules: Promotion, customers: int) -> str:
    main = decision.evidence.loc[rules.metric]
    name = rules.metric.replace("_", " ")
    change = f"{name} {main['champion']:.4f} -> {main['challenger']:.4f} on {customers:,} untouched customers"
    if decision.promoted:
        return f"{change} (at worst {main['at worst']:+.4f})"
    if rules.metric in decision.failed:
        needed = "chance alone may explain it" if main["difference"] > 0 else "that is no improvement"
        if rules.margin:
            needed = f"it may be worse by more than {rules.margin:g}"
        return f"{change}: {needed} (at worst {main['at worst']:+.4f})"
    row = decision.evidence.loc[decision.failed[0]]
    rest = f"{decision.failed[0]} {row['champion']:.3g} -> {row['challenger']:.3g} ({row['rule']})"
    return f"{change}, but {rest}"
