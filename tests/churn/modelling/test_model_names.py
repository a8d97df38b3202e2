"""Which registered model is that of which data set, in a real database of MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn.modelling import model_names
from churn.modelling.model_names import Asked, claim, find_name
from churn.modelling.tracking import TrackingError, mlflow
from helpers.registered_models import add_version, connect, make_old, train


def owners() -> dict[str, str]:
    """Return the registered models that are known, and of which data set they are."""
    return {one.name: one.data_set for one in model_names.list_names("churn")}


def test_each_data_set_has_a_registered_model_of_its_own(outputs: Path) -> None:
    """The first has the name as it is given, another one its own behind it; both keep them,
    and each has a champion.
    """
    connect(outputs)
    names = [train(outputs, data_set) for data_set in ("Sample", "Our bank (2024)", "Sample")]
    assert names == ["churn/1", "churn-our-bank-2024/1", "churn/2"]
    assert train(outputs, "Our bank (2024)") == "churn-our-bank-2024/2"
    assert [(one.name, one.champion) for one in model_names.list_names("churn")] == [
        ("churn", "1"),
        ("churn-our-bank-2024", "1"),
    ]
    assert find_name(Asked("churn", "Our bank (2024)")) == "churn-our-bank-2024"
    assert find_name(Asked("churn", "Sample")) == find_name(Asked("churn")) == "churn"


def test_names_that_differ_in_marks_alone_do_not_meet(outputs: Path) -> None:
    """Their slugs are the same: a hash tells them apart; other people's models are left alone."""
    connect(outputs)
    mlflow.MlflowClient().create_registered_model("churnable")
    mlflow.MlflowClient().create_registered_model("churn-taken")
    names = [claim("churn", data_set) for data_set in ("A", "Our bank", "our-bank!", "Taken")]
    assert names[:2] == ["churn", "churn-our-bank"]
    assert [name.rpartition("-")[0] for name in names[2:]] == ["churn-our-bank", "churn-taken"]
    assert [claim("churn", data_set) for data_set in ("our-bank!", "Our bank")] == [
        names[2],
        names[1],
    ]
    assert owners().keys() == {*names, "churn-taken"}


def test_another_base_is_another_registered_model(outputs: Path) -> None:
    """Who names a registered model in the params file gets it; it is known all the same."""
    connect(outputs)
    train(outputs, "Sample")
    train(outputs, "Bank")
    assert claim("bank", "Bank") == "bank"
    assert find_name(Asked("bank", "Bank")) == "bank"
    assert find_name(Asked("churn", "Bank")) == "churn-bank"
    assert owners() == {"bank": "Bank", "churn": "Sample", "churn-bank": "Bank"}


def test_without_a_model_it_says_who_has_one_and_what_to_run(outputs: Path) -> None:
    """The data set, the champions of others, the command; or the only one, where that may do."""
    connect(outputs)
    train(outputs, "Sample")
    asked = Asked("churn", "Mine", train="churn run --params mine.yaml")
    with pytest.raises(TrackingError) as refused:
        find_name(asked)
    for text in ("'Mine'", "churn run --params mine.yaml", "'Sample' (models:/churn/1)"):
        assert text in str(refused.value)
    assert find_name(Asked("churn", "Mine", or_only=True)) == "churn"
    train(outputs, "Bank")
    with pytest.raises(TrackingError, match=r"'Sample'.*'Bank'"):
        find_name(Asked("churn", "Mine", or_only=True))


def test_what_version_0_1_0_registered_is_its_champion_s(outputs: Path) -> None:
    """It kept all data sets under one name, without a tag; the champion stays that of its data
    set, also after another one was trained and somebody moved the alias.
    """
    make_old(outputs, "Sample", "Bank", "Bank", champion=3)
    assert owners() == {"churn": "Bank"}
    assert find_name(Asked("churn", "Bank")) == "churn"
    assert train(outputs, "Sample") == "churn-sample/1"
    mlflow.MlflowClient().set_registered_model_alias("churn", "champion", "1")
    assert owners() == {"churn": "Bank", "churn-sample": "Sample"}
    assert train(outputs, "Bank") == "churn/4"


def test_a_model_of_which_nobody_knows_the_data_set_is_not_lost(outputs: Path) -> None:
    """Registered by hand, or its run is gone: whoever asks first for the name has it."""
    connect(outputs)
    mlflow.MlflowClient().create_registered_model("churn")
    add_version(outputs, "churn", "")
    assert find_name(Asked("churn", "Bank")) == "churn"
    assert train(outputs, "Bank") == "churn/2"
    assert train(outputs, "Sample") == "churn-sample/1"
