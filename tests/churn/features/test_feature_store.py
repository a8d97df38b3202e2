"""The feature store: what Feast holds, point-in-time retrieval, the online store, equal bytes."""

from __future__ import annotations

import contextlib
import io
import shutil
import sqlite3
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from feast import FeatureStore

from churn.features import feature_store
from churn.features.feature_set import Feature
from helpers.transforming import AS_OF


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A feature repository of two customers, whose plan also has a row of a later day."""
    customers = pd.DataFrame({"id": ["2", "1"], "charge $": [20.0, np.nan], "plan": ["old", "old"]})
    features = [
        Feature("charge $", "crm-contract", "number", "a 'price'\nin \"dollars\""),
        Feature("plan", "derived", "category", ""),
    ]
    feature_store.write_repository(tmp_path, customers, features, "id", AS_OF)
    file = tmp_path / "offline" / "derived.parquet"
    rows = pd.read_parquet(file)
    later = rows.assign(
        plan="new", event_timestamp=rows["event_timestamp"] + pd.Timedelta(days=10).as_unit("us")
    )
    pd.concat([rows, later]).to_parquet(file, index=False)
    return tmp_path


def test_a_later_row_is_not_returned_for_an_earlier_day(repository: Path) -> None:
    """Retrieval is correct in time: before the first row nothing, then the old plan,
    then the new one.
    """
    store = feature_store.open_store(repository)
    days = pd.to_datetime(["2023-12-31", "2024-01-01", "2024-01-10", "2024-01-11"], utc=True)
    asked = pd.DataFrame({"id": "1", "event_timestamp": days, "churned": [0, 1, 0, 1]})
    rows = feature_store.retrieve(store, asked).sort_values("event_timestamp")
    feature_store.close_store(store)
    assert rows["plan"].fillna("missing").tolist() == ["missing", "old", "old", "new"]
    assert rows["churned"].tolist() == [0, 1, 0, 1]
    assert rows["charge $"].isna().all()


def test_the_online_store_answers_what_was_known_when_the_day_began(repository: Path) -> None:
    """A row of a later day stays out of it; descriptions, odd names and missing values survive."""
    store = feature_store.open_store(repository)
    feature_store.materialise(store, AS_OF)
    assert feature_store.read_customer(store, "id", "2").to_dict() == {
        "charge $": 20.0,
        "plan": "old",
    }
    assert feature_store.read_customer(store, "id", "1")["charge $"] is None
    views = feature_store.describe_views(store)
    assert views["view"].tolist() == ["crm_contract", "derived"]
    assert views["description"].tolist() == ["a 'price'\nin \"dollars\"", ""]
    feature_store.close_store(store)


def test_a_closed_store_is_complete_and_holds_no_file_open(repository: Path) -> None:
    """Its databases are settled, still answer when opened again, and the folder can be
    moved on every platform.
    """
    store = feature_store.open_store(repository)
    feature_store.retrieve(
        store, pd.DataFrame({"id": ["1"], "event_timestamp": [AS_OF.tz_localize("UTC")]})
    )
    feature_store.materialise(store, AS_OF)
    feature_store.close_store(store)
    moved = repository.rename(repository.with_name("moved"))
    handles = Path("/proc/self/fd")
    if handles.is_dir():
        targets = [str(link.readlink()) for link in handles.iterdir() if link.is_symlink()]
        assert [target for target in targets if target.startswith(str(repository))] == []
    with sqlite3.connect(moved / "online_store.db") as online:
        assert online.execute("SELECT count(*) FROM churn_derived").fetchone() == (2,)
    online.close()
    again = FeatureStore(repo_path=str(moved))
    assert feature_store.read_customer(again, "id", "2")["plan"] == "old"
    feature_store.close_store(again)


@pytest.mark.skipif(
    not hasattr(time, "tzset"), reason="the time zone of a process cannot be changed here"
)
def test_a_closed_store_is_the_same_in_every_time_zone(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Feast writes the times of events as if they were the machine's own; settled, the
    bytes are equal, and in UTC.
    """
    found = []
    try:
        for zone in ("UTC", "Pacific/Auckland"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            folder = shutil.copytree(repository, tmp_path_factory.mktemp("zone") / "features")
            store = feature_store.open_store(folder)
            feature_store.materialise(store, AS_OF)
            feature_store.close_store(store)
            found.append((folder / "online_store.db").read_bytes())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found[0] == found[1]
    with sqlite3.connect(folder / "online_store.db") as online:
        times = online.execute("SELECT DISTINCT event_ts FROM churn_derived").fetchall()
    online.close()
    assert times == [(int(AS_OF.tz_localize("UTC").timestamp()),)]


def test_the_online_store_holds_what_feast_itself_would_write(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keys, messages, texts and times are those of Feast's own way, missing values
    included, and so is the registry.
    """
    contents = []
    for name in ("own", "feast"):
        folder = shutil.copytree(repository, tmp_path_factory.mktemp(name) / "features")
        store = feature_store.open_store(folder)
        if name == "own":
            feature_store.materialise(store, AS_OF)
        else:
            end = AS_OF.tz_localize("UTC").to_pydatetime()
            with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
                store.materialize(end - timedelta(days=1), end)
        feature_store.close_store(store)
        with contextlib.closing(sqlite3.connect(folder / "online_store.db")) as online:
            rows = {
                view: online.execute(f"SELECT * FROM churn_{view}").fetchall()
                for view in ("crm_contract", "derived")
            }
        contents.append(
            (
                {view: [row[:5] for row in of] for view, of in rows.items()},
                (folder / "registry.db").read_bytes(),
            )
        )
    assert contents[0] == contents[1]


def test_the_newest_row_of_a_customer_is_online(tmp_path: Path) -> None:
    """With several days, each customer's last one up to the day counts; another's may be older."""
    days = pd.Series(
        pd.to_datetime(["2023-11-01", "2023-12-01", "2023-11-01", "2024-02-01"])
    ).dt.as_unit("us")
    customers = pd.DataFrame({"id": ["1", "1", "2", "2"], "x": [1.0, 2.0, 3.0, 4.0]})
    feature_store.write_repository(
        tmp_path, customers, [Feature("x", "t", "number", "")], "id", days
    )
    store = feature_store.open_store(tmp_path)
    feature_store.materialise(store, AS_OF)
    assert [feature_store.read_customer(store, "id", one)["x"] for one in ("1", "2")] == [2.0, 3.0]
    feature_store.close_store(store)
