"""The promotion gate: a new model, the challenger, meets the one in use, the champion,
on customers untouched by both.

It takes the champion's place only if it is better beyond chance (a paired bootstrap of
the difference; see `Promotion` for the rules), and not clearly worse in calibration, in
any segment, in profit, in speed or in size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm  # type: ignore[import-untyped]
from sklearn.metrics import average_precision_score, roc_auc_score

from churn.decision import profit, segments
from churn.modelling import calibration, evaluation
from churn.params import Promotion
from churn.tables import repeats

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
class UntouchedCustomers:
    """The customers on whom two models meet, whom neither has learned from, and what
    contacting them costs and brings.
    """

    churned: Labels
    groups: npt.NDArray[Any]  # rows of one group are drawn together
    values: Floats  # of each customer; see profit.values_of
    cuts: pd.DataFrame  # segments; see segments.cut
    money: profit.Money

    def part(self, rows: Flags) -> UntouchedCustomers:
        """Return the part that these rows are."""
        cuts = self.cuts.loc[rows].reset_index(drop=True)
        return UntouchedCustomers(
            self.churned[rows], self.groups[rows], self.values[rows], cuts, self.money
        )


@dataclass(frozen=True)
class Effort:
    """What a model costs to use: milliseconds to score 1,000 customers, and bytes of its file."""

    milliseconds: float
    size: int


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, in words, and the evidence: a row for each
    check, columns `COLUMNS`.
    """

    promoted: bool
    sentence: str
    evidence: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))

    @property
    def failed(self) -> list[str]:
        """The names of the checks that the challenger did not pass."""
        return [str(name) for name in self.evidence.index[~self.evidence["passed"].astype(bool)]]


def find_untouched(
    champion: Mapping[str, Any],
    challenger: Mapping[str, Any],
    places: Floats,
    days: pd.Series[Any] | None,
) -> tuple[Flags, str]:
    """Return which of the challenger's test customers the champion has not seen either,
    and why there may be none.

    Args:
        champion: how its test set was drawn: `how`, `salt`, `test_share`, `test_from`;
            see `splitting`.
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
    customers: UntouchedCustomers,
    champion: Floats,
    challenger: Floats,
    rules: Promotion,
    efforts: Sequence[Effort],
    seed: int = 0,
) -> Decision:
    """Compare two models by their probabilities for the same customers.

    Args:
        customers: the customers.
        champion: its probabilities.
        challenger: its probabilities.
        rules: of the gate.
        efforts: of champion and challenger.
        seed: of the bootstrap.
    """
    # Rows that belong together count once.
    number, ended, stayed = repeats.count_groups(customers.churned, customers.groups)
    few = [
        f"{count:,} {what}, where it takes {least:,}"
        for count, what, least in (
            (number, "customers untouched by both", rules.fewest_customers),
            (ended, "churners among them", rules.fewest_churners),
            (stayed, "stayers among them", rules.fewest_churners),
        )
        if count < least
    ]
    if few:
        return Decision(False, f"too few to compare: {few[0]}")
    checks = list(_check(customers, champion, challenger, rules, efforts, seed))
    evidence = pd.DataFrame(
        [one.as_row() for one in checks], index=[one.name for one in checks], columns=COLUMNS
    )
    decision = Decision(all(one.passed for one in checks), "", evidence)
    return replace(decision, sentence=_say(decision, rules, number))


@dataclass(frozen=True)
class _Check:
    """What both models reach in one thing, and whether the challenger may be promoted by it.

    `gain` says by how much the challenger is better, and `at_worst` that it is so in all but
    the unlikeliest of cases.
    """

    name: str
    champion: float
    challenger: float
    gain: float
    rule: str
    passed: bool
    at_worst: float = math.nan

    def as_row(self) -> list[Any]:
        """Return the values of `COLUMNS`."""
        return [self.champion, self.challenger, self.gain, self.at_worst, self.rule, self.passed]


def _check(
    customers: UntouchedCustomers,
    champion: Floats,
    challenger: Floats,
    rules: Promotion,
    efforts: Sequence[Effort],
    seed: int,
) -> Iterator[_Check]:
    """Yield all checks, in the order in which they are shown."""
    both = (champion, challenger)
    yield _check_metric(customers, champion, challenger, rules, seed)
    errors = [calibration.expected_error(customers.churned, one) for one in both]
    yield _check_rise("calibration error", errors, rules.calibration, "rises by at most {:g}")
    yield from _check_segments(customers, champion, challenger, rules)
    old, new = (float(_earn(customers, one).mean()) for one in both)
    yield _check_profit(old, new, rules.profit)
    times = [one.milliseconds for one in efforts]
    yield _check_most("ms per 1,000 customers", times, rules.latency_ms, "at most {:g} ms")
    sizes = [one.size / 1e6 for one in efforts]
    yield _check_most("MB of the model", sizes, rules.size_mb, "at most {:g} MB")


def _check_metric(
    customers: UntouchedCustomers, champion: Floats, challenger: Floats, rules: Promotion, seed: int
) -> _Check:
    old, new, at_worst = _bootstrap(customers, champion, challenger, rules, seed)
    better = f"worse by less than {rules.margin:g}" if rules.margin else "better beyond chance"
    gain = old - new if rules.metric in _LOWER_IS_BETTER else new - old
    return _Check(rules.metric, old, new, gain, better, at_worst > -rules.margin, at_worst)


def _check_rise(name: str, values: Sequence[float], most: float, rule: str) -> _Check:
    old, new = values
    return _Check(name, old, new, old - new, rule.format(most), new - old <= most)


def _check_most(name: str, values: Sequence[float], most: float, rule: str) -> _Check:
    old, new = values
    return _Check(name, old, new, old - new, rule.format(most), new <= most)


def _check_profit(old: float, new: float, share: float) -> _Check:
    passed = old - new <= share * abs(old)
    return _Check(
        "profit per customer", old, new, new - old, f"at most {share:.0%} is lost", passed
    )


def _bootstrap(
    customers: UntouchedCustomers, champion: Floats, challenger: Floats, rules: Promotion, seed: int
) -> tuple[float, float, float]:
    """Return the metric of both, and by how much the challenger is better at worst: the
    one-sided bound.

    Groups of rows are drawn with replacement, the same for both models.
    """
    code = pd.factorize(customers.groups)[0]
    random = np.random.default_rng(seed)
    if rules.metric in _LOSSES:
        losses = _LOSSES[rules.metric]
        old, new = losses(customers.churned, champion), losses(customers.churned, challenger)
        gains = _draw_means(old - new, code, rules, random)
        return float(old.mean()), float(new.mean()), _bound(gains, rules)
    metric = _RANKINGS[rules.metric]
    gains = _draw_rankings(metric, customers.churned, (champion, challenger), code, rules, random)
    old_score, new_score = (metric(customers.churned, one) for one in (champion, challenger))
    return float(old_score), float(new_score), _bound(gains, rules)


def _bound(gains: Floats, rules: Promotion) -> float:
    return float(np.quantile(gains, 1 - rules.confidence))


def _draw_means(
    values: Floats, code: npt.NDArray[np.intp], rules: Promotion, random: np.random.Generator
) -> Floats:
    """Return the means of bootstrap draws of groups."""
    totals, sizes = np.bincount(code, weights=values), np.bincount(code)
    means = []
    for start in range(0, rules.samples, _CHUNK):
        drawn = random.integers(len(totals), size=(min(_CHUNK, rules.samples - start), len(totals)))
        means.append(totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)


def _draw_rankings(
    metric: Callable[..., float],
    churned: Labels,
    both: tuple[Floats, Floats],
    code: npt.NDArray[np.intp],
    rules: Promotion,
    random: np.random.Generator,
) -> Floats:
    """Return the challenger's gain in bootstrap draws of groups that hold both classes."""
    gains, groups = [], code.max() + 1
    for _ in range(rules.samples):
        weights = np.bincount(random.integers(groups, size=groups), minlength=groups)[code]
        if len(np.unique(churned[weights > 0])) == 2:
            old, new = (metric(churned, one, sample_weight=weights) for one in both)
            gains.append(new - old)
    return np.array(gains)


def _log_losses(churned: Labels, probability: Floats) -> Floats:
    said = np.clip(np.where(churned == 1, probability, 1 - probability), _CLIP, 1)
    losses: Floats = -np.log(said)
    return losses


def _squares(churned: Labels, probability: Floats) -> Floats:
    squares: Floats = (probability - churned) ** 2
    return squares


_LOSSES: dict[str, Callable[[Labels, Floats], Floats]] = {
    "log_loss": _log_losses,
    "brier": _squares,
}
_RANKINGS: dict[str, Callable[..., float]] = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
}


def _earn(customers: UntouchedCustomers, probability: Floats) -> Floats:
    """Return what each customer brings if the model says whom to contact."""
    contacted = profit.expected_gain(probability, customers.values, customers.money) > 0
    return profit.actual_gain(customers.churned, customers.values, customers.money) * contacted


def _check_segments(
    customers: UntouchedCustomers, champion: Floats, challenger: Floats, rules: Promotion
) -> Iterator[_Check]:
    """Yield the segment whose AUC falls most, where any can be measured; it fails if
    too far, and beyond chance.
    """
    found = []
    for name in customers.cuts:
        for value in customers.cuts[name].value_counts().sort_index().index:
            inside = (customers.cuts[name] == value).to_numpy()
            churned, groups = customers.churned[inside], customers.groups[inside]
            if not segments.has_few(churned, groups):
                scores = segments.compare_aucs(
                    churned, champion[inside], challenger[inside], groups
                )
                found.append((scores[1] - scores[0], f"AUC, {name} = {value}", *scores))
    if not found:
        return
    fall, text, old, new, error = min(found)
    # What is certain of it, all segments counted.
    at_worst = fall + float(norm.ppf(1 - _ALPHA / len(found))) * error
    rule = f"falls by at most {rules.segment:g}, beyond chance"
    passed = not (fall < -rules.segment and at_worst < 0)
    yield _Check(text, old, new, fall, rule, passed, at_worst)


def measure_time(model: Any, features: pd.DataFrame, rounds: int = 3) -> float:
    """Return the milliseconds that a model takes to score 1,000 customers: the shortest
    of some rounds.
    """
    rows = features.sample(_SCORED, replace=len(features) < _SCORED, random_state=0)
    taken = []
    with evaluation.few_threads(_SCORED):
        for _ in range(rounds):
            start = time.perf_counter()
            model.predict_proba(rows)
            taken.append(time.perf_counter() - start)
    return 1_000 * min(taken)


def _say(decision: Decision, rules: Promotion, count: int) -> str:
    main = decision.evidence.loc[rules.metric]
    name = rules.metric.replace("_", " ")
    change = (
        f"{name} {main['champion']:.4f} -> {main['challenger']:.4f} "
        f"on {count:,} untouched customers"
    )
    if decision.promoted:
        return f"{change} (at worst {main['at worst']:+.4f})"
    if rules.metric in decision.failed:
        needed = (
            "chance alone may explain it" if main["difference"] > 0 else "that is no improvement"
        )
        if rules.margin:
            needed = f"it may be worse by more than {rules.margin:g}"
        return f"{change}: {needed} (at worst {main['at worst']:+.4f})"
    row = decision.evidence.loc[decision.failed[0]]
    rest = f"{decision.failed[0]} {row['champion']:.3g} -> {row['challenger']:.3g} ({row['rule']})"
    return f"{change}, but {rest}"
