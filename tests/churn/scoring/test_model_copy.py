"""Which version of a registered model is meant by what a command was told."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn.modelling.model_names import Asked
from churn.modelling.tracking import TrackingError
from churn.scoring.model_copy import find_version
from helpers.registered_models import connect, make_old, train


def find(wanted: str, data_set: str) -> str:
    """Return the version that is meant, as people write it."""
    found = find_version(wanted, Asked("churn", data_set))
    return f"{found.name}/{found.version}"


def test_aliases_and_numbers_are_those_of_the_data_set(outputs: Path) -> None:
    """An address says by itself which registered model is meant."""
    connect(outputs)
    for data_set in ("Sample", "Bank", "Bank"):
        train(outputs, data_set)
    assert [find("@champion", data_set) for data_set in ("Sample", "Bank")] == [
        "churn/1",
        "churn-bank/1",
    ]
    assert find("2", "Bank") == find("@challenger", "Bank") == "churn-bank/2"
    assert find("models:/churn-bank/2", "Sample") == "churn-bank/2"
    with pytest.raises(TrackingError, match=r"churn has the versions 1; .*@champion is 1"):
        find("2", "Sample")
    with pytest.raises(TrackingError, match=r"no champion of the data set 'Mine'"):
        find("@champion", "Mine")


def test_a_number_of_another_data_set_s_model_is_refused(outputs: Path) -> None:
    """Version 0.1.0 counted the models of all data sets together: it takes the whole address."""
    make_old(outputs, "Sample", "Bank", champion=2)
    assert find("@champion", "Bank") == "churn/2"
    with pytest.raises(TrackingError, match=r"'Sample'.*--model models:/churn/1"):
        find("1", "Bank")
    assert find("models:/churn/1", "Bank") == "churn/1"
