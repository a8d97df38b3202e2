"""The customer id under another name: `key` of a source, and what a table without it is told."""

from __future__ import annotations

import pandas as pd
import pytest

import stagekit
from params import Column, FileSource


def test_the_key_gets_the_name_that_it_has_elsewhere() -> None:
    """The column is renamed in its place, and its facts with it; without `key` nothing changes."""
    frame = pd.DataFrame({"plan": ["a"], "cust": ["007"]})
    source = FileSource(file="a.csv", key="cust", columns={"cust": Column(type="id"), "plan": Column()})
    renamed = stagekit.rename_key(frame, source, "account")
    assert renamed.to_dict("list") == {"plan": ["a"], "account": ["007"]}
    assert list(source.columns_by_name("account")) == ["account", "plan"]
    assert source.columns_by_name("account")["account"].type == "id"
    assert stagekit.rename_key(frame, FileSource(file="a.csv"), "account") is frame
    assert stagekit.rename_key(frame, FileSource(file="a.csv", key="cust"), "cust") is frame


def test_a_key_that_is_not_there_is_suggested() -> None:
    """The table, the name that is wrong, and the nearest that is right."""
    frame = pd.DataFrame({"customer_no": ["007"], "plan": ["a"]})
    with pytest.raises(stagekit.ParameterError) as caught:
        stagekit.rename_key(frame, FileSource(file="a.csv", key="custmer_no"), "id", "crm")
    assert str(caught.value) == "crm.key: no column 'custmer_no'; did you mean 'customer_no'?"


def test_two_columns_that_could_be_the_id_are_refused() -> None:
    """Renaming would make two columns of one name: which of them is the id, nobody can tell."""
    frame = pd.DataFrame({"id": ["1"], "cust": ["007"]})
    with pytest.raises(stagekit.ParameterError, match="a column 'cust' and a column 'id', the customer id"):
        stagekit.rename_key(frame, FileSource(file="a.csv", key="cust"), "id", "crm")
