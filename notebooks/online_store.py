"""The online store of `data/features/`: a SQLite file that Feast reads, filled a table at a time.

Feast's own way in makes a message of each value and a statement of each row: five minutes for a million customers. Here
each different value is put into a message once, and rows are written in the order of their key, so that the file is the
same however often and wherever it is made. Feast reads what its own way would have written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

_KEY_VERSION = 3
_INSERT = 'INSERT INTO "{}" (entity_key, feature_name, value, value_text, event_ts) VALUES (?, ?, ?, ?, ?)'
_NO_ROWID = " WITHOUT ROWID"  # a table is then its key's index: kept once instead of three times

Row = tuple[bytes, str, bytes, str | None, int]


def fill_online_store(store: Any, folder: Path, timestamp: str, as_of: pd.Timestamp) -> None:
    """Write of each customer the newest features that were known at the start of the as-of day.

    Args:
        store: the open `feast.FeatureStore`, whose registry notes up to when its views are filled.
        folder: the repository, in which the store's paths are.
        timestamp: the column of the offline files with the time of a row.
        as_of: the day.
    """
    end = as_of.tz_localize("UTC")
    connection = store._get_provider().online_store._get_conn(store.config)
    for view in store.list_feature_views():
        rows = pd.read_parquet(folder / view.batch_source.path)
        rows = rows[rows[timestamp] <= end]
        (key,) = (entity.name for entity in view.entity_columns)
        if rows[key].duplicated().any():
            rows = rows.sort_values(timestamp, kind="stable").drop_duplicates(key, keep="last")
        features = sorted(feature.name for feature in view.features)
        _write_table(connection, f"{store.project}_{view.name}", _rows(rows, key, timestamp, features))
        start = (end - pd.Timedelta(days=1)).to_pydatetime()
        store.registry.apply_materialization(view, store.project, start, end.to_pydatetime())
    connection.commit()


def _write_table(connection: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    (definition,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchone()
    connection.execute(f'DROP TABLE "{table}"')
    connection.execute(definition.removesuffix(_NO_ROWID) + _NO_ROWID)
    connection.executemany(_INSERT.format(table), rows)


def _rows(frame: pd.DataFrame, key: str, timestamp: str, features: list[str]) -> Iterator[Row]:
    """Yield a row for each customer and feature, in the order of the table's key."""
    keys = [_encode_key(key, str(value)) for value in frame[key]]
    order = np.argsort(np.array(keys, dtype=object), kind="stable")
    seconds = (frame[timestamp].astype("datetime64[s, UTC]").astype("int64")).to_numpy()[order].tolist()
    columns = [_encode(frame[name].iloc[order]) for name in features]
    for position, place in enumerate(order):
        for name, (codes, messages) in zip(features, columns, strict=True):
            message, text = messages[codes[position]]
            yield keys[place], name, message, text, seconds[position]


def _encode_key(name: str, value: str) -> bytes:
    entity = EntityKey(join_keys=[name], entity_values=[Value(string_val=value)])
    return bytes(serialize_entity_key(entity, entity_key_serialization_version=_KEY_VERSION))


def _encode(values: pd.Series[Any]) -> tuple[list[int], list[tuple[bytes, str | None]]]:
    """Return the code of each value, and for each code Feast's message and text; the last ones stand for `missing`."""
    codes, distinct = pd.factorize(values)
    if pd.api.types.is_numeric_dtype(values):
        messages = [(Value(double_val=one).SerializeToString(), str(one)) for one in np.asarray(distinct).tolist()]
    else:
        messages = [(Value(string_val=one).SerializeToString(), one) for one in distinct.tolist()]
    return codes.tolist(), [*messages, (b"", None)]


def settle_online_store(file: Path) -> None:
    """Rebuild what is empty or was written by Feast itself in the order of its key, and leave no free space behind."""
    if not file.exists():
        return
    with contextlib.closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        for name, definition in tables:
            if not definition.endswith(_NO_ROWID):
                connection.execute(f'ALTER TABLE "{name}" RENAME TO unsorted')
                connection.execute(definition + _NO_ROWID)
                connection.execute(f'INSERT INTO "{name}" SELECT * FROM unsorted ORDER BY entity_key, feature_name')
                connection.execute("DROP TABLE unsorted")
        connection.commit()
        connection.execute("VACUUM")
