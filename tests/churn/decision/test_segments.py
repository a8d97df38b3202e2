"""Segments: a drifted and an unfair one are found where they are planted, and noise is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from churn.decision import segments

COUNT = 3000
THRESHOLD = 0.3
ALONE = np.arange(COUNT)  # each customer is a group


def make(
    seed: int = 0, count: int = COUNT
) -> tuple[pd.DataFrame, segments.Labels, segments.Floats]:
    """Draw customers: segments that say nothing, log odds that say all, whether they left."""
    random = np.random.default_rng(seed)
    odds = random.normal(-1.2, 1.3, count)
    frame = pd.DataFrame(
        {
            "region": random.choice(["north", "south", "east", "west"], count),
            "sex": random.choice(["f", "m"], count),
            "age": random.uniform(18, 90, count),
            "plan": np.where(odds > -1, "loose", "bound"),  # it says a lot, honestly
        }
    )
    probability = expit(odds)
    return frame, random.binomial(1, probability), probability


def warn(frame: pd.DataFrame, churned: segments.Labels, probability: segments.Floats) -> list[str]:
    """Return the warnings of the customers' segments."""
    return segments.find_warnings(
        segments.measure(segments.cut(frame, list(frame)), churned, probability, THRESHOLD, ALONE)
    )


def test_noise_and_honest_differences_rarely_warn() -> None:
    """Of 60 companies with a perfect model at most three have any warning, also where a
    segment says who leaves.
    """
    warned = [seed for seed in range(100) if warn(*make(seed))]
    assert len(warned) <= 3


def test_a_drifted_segment_is_found() -> None:
    """In the north customers leave more than they did when the model learned: more
    churn than predicted there.
    """
    frame, churned, probability = make()
    drifted = frame["region"] == "north"
    moved = np.where(
        drifted, np.random.default_rng(1).binomial(1, expit(logit(probability) + 1)), churned
    )
    found = warn(frame, moved, probability)
    assert found[0].startswith("region = north: more of these")
    assert not [text for text in found if "south" in text or "west" in text or "east" in text]


def test_a_segment_that_the_model_cannot_order_is_found() -> None:
    """In the south who leaves has nothing to do with the probabilities; their mean is right."""
    frame, churned, probability = make()
    south = (frame["region"] == "south").to_numpy()
    shuffled = churned.copy()
    shuffled[south] = np.random.default_rng(2).permutation(churned[south])
    found = warn(frame, shuffled, probability)
    assert any("region = south" in text and "AUC" in text for text in found)
    assert "where its probabilities promise 0." in found[0]


def test_an_unfair_segment_is_found() -> None:
    """Women leave as often as men, but the model knows nothing of them and so contacts
    none, calibrated as it is.
    """
    frame, churned, probability = make()
    women = (frame["sex"] == "f").to_numpy()
    blind = np.where(women, churned[women].mean(), probability)
    found = warn(frame[["region", "sex"]], churned, blind)
    assert any(
        text.startswith("sex = f: 0.0% (0.0% to") and "are contacted" in text for text in found
    )
    assert any(
        text.startswith("sex = f: 0.0%") and "of the churners reached" in text for text in found
    )


def test_measures_have_intervals_that_hold_the_truth() -> None:
    """All customers come first; their AUC is scikit-learn's, and the perfect model
    keeps its promise.
    """
    from sklearn.metrics import roc_auc_score

    frame, churned, probability = make()
    table = segments.measure(
        segments.cut(frame, ["region"]), churned, probability, THRESHOLD, ALONE
    )
    first = table.loc[("all customers", "")]
    assert first["auc"] == pytest.approx(roc_auc_score(churned, probability))
    assert first["auc_low"] < first["auc_promised"] < first["auc_high"]
    assert first["selection"] == pytest.approx(np.mean(probability > THRESHOLD))
    assert table["rows"].iloc[1:].sum() == COUNT
    assert (table["selection_low"] <= table["selection"]).all()
    shown = segments.tabulate(table)
    assert shown.loc[("region", "north"), "AUC"].count("0.") == 3


def test_numbers_are_cut_in_quarters_and_small_segments_put_together() -> None:
    """Missing values are a segment; columns that are named are taken as they are."""
    frame = pd.DataFrame(
        {
            "age": [*np.arange(396.0), *[np.nan] * 4],
            "town": ["big"] * 300 + [f"small {number}" for number in range(100)],
            "kind": (["a", "b"] * 200),
        }
    )
    cuts = segments.cut(frame, ["age", "town", "kind"])
    assert cuts["age"].nunique() == 5
    assert cuts["town"].value_counts().to_dict() == {"big": 300, "(others: 100 values)": 100}
    features = frame.assign(age=frame["age"].astype("float64"))
    assert segments.choose_columns(features, []) == ["kind"]
    assert segments.choose_columns(features, ["age"]) == ["age"]


def test_the_same_customers_are_one_segment() -> None:
    """Who has no internet is named once, not by each service that needs it."""
    frame, churned, probability = make()
    twice = frame[["sex"]].assign(again=frame["sex"].map({"f": "no", "m": "yes"}))
    cuts = segments.cut(twice, ["sex", "again"])
    table = segments.measure(cuts, churned, probability, THRESHOLD, ALONE)
    assert table.index.tolist() == [("all customers", ""), ("sex", "f"), ("sex", "m")]


def test_a_segment_with_one_class_or_one_probability_is_measured_as_far_as_it_goes() -> None:
    """What cannot be computed is missing, and no warning rests on it."""
    frame = pd.DataFrame({"kind": ["a"] * 100 + ["b"] * 100})
    churned = np.array([0] * 100 + [1, 0] * 50)
    table = segments.measure(
        segments.cut(frame, ["kind"]),
        churned,
        np.array([0.0] * 100 + [0.5] * 100),
        0.3,
        np.arange(200),
    )
    assert np.isnan(table.loc[("kind", "a"), "auc"])
    assert np.isnan(table.loc[("kind", "a"), "calibration"])
    assert segments.find_warnings(table) == []


def test_copies_of_customers_make_nothing_surer() -> None:
    """Of four copies of each customer each interval is as wide as of the customers themselves,
    and warns as rarely.
    """
    frame, churned, probability = make()
    once = segments.measure(segments.cut(frame, ["sex"]), churned, probability, THRESHOLD, ALONE)
    cuts = segments.cut(pd.concat([frame] * 4, ignore_index=True), ["sex"])
    copied = [np.tile(each, 4) for each in (churned, probability, ALONE)]
    copies = segments.measure(cuts, copied[0], copied[1], THRESHOLD, copied[2])
    for name in ("churn_rate", "auc", "selection", "reached"):
        width = once[f"{name}_high"] - once[f"{name}_low"]
        found = copies[f"{name}_high"] - copies[f"{name}_low"]
        assert found.tolist() == pytest.approx(width.tolist(), rel=0.01), name
    width = once["calibration_high"] - once["calibration_low"]
    found = copies["calibration_high"] - copies["calibration_low"]
    assert found.tolist() == pytest.approx(width.tolist(), rel=0.1)
    assert segments.find_warnings(copies) == []


def test_a_segment_of_few_customers_in_many_rows_is_not_measured() -> None:
    """Forty customers of ten rows each are forty, not four hundred."""
    frame = pd.DataFrame({"kind": np.repeat(["few", "many"], 400)})
    groups = np.concatenate([np.repeat(np.arange(40), 10), 40 + np.arange(400)])
    churned, probability = np.tile([0, 1], 400), np.linspace(0.1, 0.9, 800)
    table = segments.measure(frame, churned, probability, 0.3, groups)
    assert table.index.tolist() == [("all customers", ""), ("kind", "many")]


def test_rows_count_by_what_they_have_in_common() -> None:
    """As many as groups where all rows of a group are equal, as many as rows where chance
    deals them out.
    """
    groups = np.repeat(np.arange(500), 4)
    flags = np.random.default_rng(0).random(2000) < 0.3
    assert segments.effective_size(flags, np.arange(2000)) == 2000
    assert segments.effective_size(flags, groups) == pytest.approx(2000, rel=0.15)
    assert segments.effective_size(np.repeat(flags[:500], 4), groups) == pytest.approx(500)
    assert segments.effective_size(np.ones(2000), groups) == 500
