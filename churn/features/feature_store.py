"""The feature store of `data/features/`: a Feast repository that is written, applied,
read and made reproducible.

The repository has one feature view for each source table and one for the features
computed at the as-of date. Its Parquet files are the offline store (read through
DuckDB), a SQLite file is the online store. All its paths are relative to the
repository, so that it can be moved, versioned and restored as one folder.

The online store is filled a table at a time. Feast's own way in makes a message of each
value and a statement of each row: five minutes for a million customers. Here each
different value is put into a message once, and rows are written in the order of their
key, so that the file is the same however often and wherever it is made. Feast reads
what its own way would have written.
"""

from __future__ import annotations

import contextlib
import importlib
import runpy
import sqlite3
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typeguard

from churn.features.feature_set import Feature, find_unfit_names
from churn.stage import gate
from churn.tables.files import write_table

PROJECT = "churn"
SERVICE = "churn"
OFFLINE = "offline"
TIMESTAMP = "event_timestamp"
_KEY_VERSION = 3
_INSERT = (
    'INSERT INTO "{}" (entity_key, feature_name, value, value_text, event_ts) '
    "VALUES (?, ?, ?, ?, ?)"
)
_NO_ROWID = " WITHOUT ROWID"  # a table is then its key's index: kept once instead of three times
Row = tuple[bytes, str, bytes, str | None, int]
_SETTINGS = f"""\
project: {PROJECT}
provider: local
registry: registry.db
offline_store:
  type: duckdb
online_store:
  type: sqlite
  path: online_store.db
entity_key_serialization_version: 3
"""
_HEAD = '''\
"""The features, as Feast reads them; written by 04_transformation.

Run `feast` inside this folder (its paths are relative to it), for example \
`feast feature-views list`.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, String
'''
_TYPES = {"number": "Float64", "category": "String"}


@contextlib.contextmanager
def _without_typeguard() -> Iterator[None]:
    # Feast has typeguard recompile its classes at every import: 3 of 5 seconds, for
    # checks of its own arguments.
    checked = typeguard.typechecked
    typeguard.typechecked = lambda target=None, **_: (
        target if target is not None else lambda inner: inner
    )  # type: ignore[assignment]
    try:
        yield
    finally:
        typeguard.typechecked = checked


with _without_typeguard():
    # Feast imports these when it first reads; here, with the other imports, a warm
    # kernel has them already.
    for _module in (
        "feast.infra.data_sources.contrib.iceberg_catalog.iceberg_source",
        "feast.infra.data_sources.contrib.lance.lance_source",
        "feast.infra.data_sources.mlflow.mlflow_dataset_source",
        "feast.infra.offline_stores.duckdb",
        "feast.infra.passthrough_provider",
        "feast.repo_operations",
        "ibis.backends.duckdb.converter",
        "ibis.formats.pandas",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(_module)
    from feast import FeatureStore
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.core.Registry_pb2 import Registry
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value


def write_features(
    folder: Path,
    customers: pd.DataFrame,
    features: Sequence[Feature],
    customer_id: str,
    as_of: pd.Series[Any],
    *,
    online: bool,
) -> pd.DataFrame:
    """Write a whole repository; return what its store answers (a point-in-time retrieval).

    Args:
        folder: where it is written; empty.
        customers: a row for each customer and day, in order, with the id and every feature.
        features: what they are.
        customer_id: the column that names a customer.
        as_of: the day of each row; 2000-01-01 if it is not known. Rows of one customer and
            day are told apart by a second each.
        online: fill the online store, too.

    Returns:
        The features, a row for each of the customers, in the same order.

    Raises:
        GateError: it cannot hold the id's name, or a store answers otherwise than was written.
    """
    gate(find_unfit_names([customer_id]), "The feature store cannot hold this name of the id")
    moments = _tell_apart(as_of.fillna(pd.Timestamp("2000-01-01")), customers[customer_id])
    write_repository(folder, customers, features, customer_id, moments)
    store = open_store(folder)
    rows = {TIMESTAMP: as_utc(moments), "training_row": range(len(customers))}
    events = customers[[customer_id]].assign(**rows)
    answers = retrieve(store, events).sort_values("training_row", ignore_index=True)
    answers = answers[[feature.name for feature in features]]
    _check_answers(answers, customers)
    if online:
        materialise(store, moments.max())
        _check_online(store, customer_id, customers[customer_id].iloc[-1], answers.iloc[-1])
    close_store(store)
    return answers


def _tell_apart(days: pd.Series[Any], customers: pd.Series[Any]) -> pd.Series[Any]:
    """Return the moment of each row: the start of its day, a second later for each row that
    the customer has of that day before.
    """
    before = days.groupby([customers, days]).cumcount()
    return days + pd.to_timedelta(before, unit="s") if before.any() else days


def _check_answers(answers: pd.DataFrame, written: pd.DataFrame) -> None:
    different = [name for name in answers if not is_same(answers[name], written[name])]
    problems = [f"{name} differs from what was written" for name in different]
    gate(problems, "The feature store answers wrongly")


def _check_online(
    store: FeatureStore, customer_id: str, customer: Any, offline: pd.Series[Any]
) -> None:
    """Compare what the online store answers about a customer with the offline store."""
    row = read_customer(store, customer_id, customer)
    wrong = [name for name in offline.index if not is_same(row[[name]], offline[[name]])]
    problems = [f"{name} differs" for name in wrong]
    gate(problems, f"The online store answers wrongly about {customer}")


def is_same(one: pd.Series[Any], other: pd.Series[Any]) -> bool:
    """Whether two columns hold the same values, a missing one where the other has none."""
    return bool(one.reset_index(drop=True).equals(other.reset_index(drop=True).astype(one.dtype)))


def write_repository(
    folder: Path,
    customers: pd.DataFrame,
    features: Sequence[Feature],
    customer_id: str,
    moments: pd.Series[Any] | pd.Timestamp,
) -> list[str]:
    """Write the settings, the definitions and one Parquet file for each view; return
    the names of the views.

    `customers` has a row for each customer and day, in order, with the id and every
    feature. `moments` are their as-of days, or the one of all; a row's event is the
    start of its day in UTC: what the features say was known then.
    """
    views = list(dict.fromkeys(feature.view for feature in features))
    (folder / OFFLINE).mkdir()
    for view in views:
        columns = [customer_id, *(feature.name for feature in features if feature.view == view)]
        rows = customers[columns].assign(**{TIMESTAMP: as_utc(moments)})
        write_table(rows, folder / OFFLINE, view)
    (folder / "feature_store.yaml").write_text(_SETTINGS, encoding="utf-8", newline="\n")
    (folder / "definitions.py").write_text(
        _define(views, features, customer_id), encoding="utf-8", newline="\n"
    )
    return views


def as_utc(moments: pd.Series[Any] | pd.Timestamp) -> Any:
    """Return days without a time zone as Feast's events: their beginnings in UTC."""
    if isinstance(moments, pd.Timestamp):
        return moments.tz_localize("UTC").as_unit("us")
    return moments.dt.tz_localize("UTC").dt.as_unit("us")


def open_store(folder: Path) -> Any:
    """Register what the repository's `definitions.py` defines, and return the open
    `feast.FeatureStore`.
    """
    folder = folder.resolve()
    definitions = runpy.run_path(str(folder / "definitions.py"))
    with _inside(folder):
        store = FeatureStore(repo_path=str(folder))
        store.apply([definitions["customer"], *definitions["views"], definitions["service"]])
    return store


def describe_views(store: Any) -> pd.DataFrame:
    """Return a row for each feature that the registry holds: view, feature, type, description."""
    fields = [(view.name, field) for view in store.list_feature_views() for field in view.features]
    return pd.DataFrame(
        [(view, field.name, str(field.dtype), field.description) for view, field in fields],
        columns=["view", "feature", "type", "description"],
    )


def retrieve(store: Any, customers: pd.DataFrame) -> pd.DataFrame:
    """Return the features of customers as they were known at given times: a
    point-in-time retrieval.

    `customers` has the customer id, `event_timestamp` (UTC) and any further columns,
    such as the label; they are kept. For each row Feast takes the newest row of each
    view that is not later than the row's own time.
    """
    with _inside(Path(store.repo_path)):
        rows: pd.DataFrame = store.get_historical_features(
            customers, store.get_feature_service(SERVICE)
        ).to_df()
    return rows


def materialise(store: Any, as_of: pd.Timestamp) -> None:
    """Copy each customer's newest features that were known at the start of the as-of
    day to the online store.
    """
    with _inside(Path(store.repo_path)):
        _fill_online_store(store, Path(store.repo_path), TIMESTAMP, as_of)


def read_customer(store: Any, customer_id: str, value: str) -> pd.Series[Any]:
    """Return one customer's features from the online store, in the order of their names."""
    answer = store.get_online_features(
        store.get_feature_service(SERVICE), [{customer_id: value}]
    ).to_dict()
    return pd.Series(
        {name: values[0] for name, values in sorted(answer.items()) if name != customer_id},
        dtype="object",
    )


def close_store(store: Any) -> None:
    """Close Feast's connections, which Windows needs before the folder can be moved,
    and settle its two databases.

    Feast stamps them with the time of the run and a random id. Afterwards their bytes
    depend on nothing but the definitions, the features and the as-of date.
    """
    import ibis  # type: ignore[import-untyped]

    folder, online = Path(store.repo_path), store._get_provider().online_store
    if online._conn is not None:
        online._conn.close()
        online._conn = None
    if ibis.options.default_backend is not None:
        ibis.options.default_backend.disconnect()
        ibis.options.default_backend = None
    _settle_registry(folder / "registry.db")
    _settle_online_store(folder / "online_store.db")


def _settle_registry(file: Path) -> None:
    registry = Registry.FromString(file.read_bytes())
    _clear_times(registry)
    registry.ClearField("feature_view_version_history")  # versions of this folder are kept by DVC
    registry.data_sources.sort(key=lambda source: source.name)
    registry.entities.sort(key=lambda entity: entity.spec.name)
    for metadata in registry.project_metadata:
        metadata.project_uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, PROJECT))
    registry.ClearField("version_id")
    registry.version_id = str(
        uuid.uuid5(uuid.NAMESPACE_OID, registry.SerializeToString(deterministic=True).hex())
    )
    file.write_bytes(registry.SerializeToString(deterministic=True))


def _clear_times(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in ("created_timestamp", "last_updated_timestamp", "last_updated"):
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE and not (
            field.message_type and field.message_type.GetOptions().map_entry
        ):
            for inner in value if isinstance(value, Iterable) else [value]:
                _clear_times(inner)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    # Feast's DuckDB store takes the relative paths of Parquet files from the working
    # directory, not the repository.
    with contextlib.chdir(folder), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"ibis\.|feast\.")
        yield


def _define(views: Sequence[str], features: Sequence[Feature], customer_id: str) -> str:
    """Return the text of `definitions.py`."""
    entity = (
        f"customer = Entity(name='customer', join_keys=[{customer_id!r}], "
        "value_type=ValueType.STRING)\n"
    )
    parts = [
        _define_view(view, [feature for feature in features if feature.view == view])
        for view in views
    ]
    names = ", ".join(f"{view}_view" for view in views)
    service = f"views = [{names}]\nservice = FeatureService(name={SERVICE!r}, features=views)\n"
    return "\n".join([_HEAD, entity, *parts, service])


def _define_view(view: str, features: Sequence[Feature]) -> str:
    fields = "\n".join(
        f"        Field(name={feature.name!r}, dtype={_TYPES[feature.type]}, "
        f"description={feature.description!r}),"
        for feature in features
    )
    return f"""\
{view}_view = FeatureView(
    name={view!r},
    entities=[customer],
    ttl=timedelta(0),  # no limit
    source=FileSource(path={f"{OFFLINE}/{view}.parquet"!r}, timestamp_field={TIMESTAMP!r}),
    schema=[
{fields}
    ],
)
"""


def _fill_online_store(store: Any, folder: Path, timestamp: str, as_of: pd.Timestamp) -> None:
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
        _write_table(
            connection, f"{store.project}_{view.name}", _rows(rows, key, timestamp, features)
        )
        start = (end - pd.Timedelta(days=1)).to_pydatetime()
        store.registry.apply_materialization(view, store.project, start, end.to_pydatetime())
    connection.commit()


def _write_table(connection: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    (definition,) = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = ?", [table]
    ).fetchone()
    connection.execute(f'DROP TABLE "{table}"')
    connection.execute(definition.removesuffix(_NO_ROWID) + _NO_ROWID)
    connection.executemany(_INSERT.format(table), rows)


def _rows(frame: pd.DataFrame, key: str, timestamp: str, features: list[str]) -> Iterator[Row]:
    """Yield a row for each customer and feature, in the order of the table's key."""
    keys = [_encode_key(key, str(value)) for value in frame[key]]
    order = np.argsort(np.array(keys, dtype=object), kind="stable")
    seconds = (
        (frame[timestamp].astype("datetime64[s, UTC]").astype("int64")).to_numpy()[order].tolist()
    )
    columns = [_encode(frame[name].iloc[order]) for name in features]
    for position, place in enumerate(order):
        for name, (codes, messages) in zip(features, columns, strict=True):
            message, text = messages[codes[position]]
            yield keys[place], name, message, text, seconds[position]


def _encode_key(name: str, value: str) -> bytes:
    entity = EntityKey(join_keys=[name], entity_values=[Value(string_val=value)])
    return bytes(serialize_entity_key(entity, entity_key_serialization_version=_KEY_VERSION))


def _encode(values: pd.Series[Any]) -> tuple[list[int], list[tuple[bytes, str | None]]]:
    """Return the code of each value, and for each code Feast's message and text; the
    last ones stand for `missing`.
    """
    codes, distinct = pd.factorize(values)
    if pd.api.types.is_numeric_dtype(values):
        messages = [
            (Value(double_val=one).SerializeToString(), str(one))
            for one in np.asarray(distinct).tolist()
        ]
    else:
        messages = [(Value(string_val=one).SerializeToString(), one) for one in distinct.tolist()]
    return codes.tolist(), [*messages, (b"", None)]


def _settle_online_store(file: Path) -> None:
    """Rebuild what is empty or was written by Feast itself in the order of its key, and
    leave no free space behind.
    """
    if not file.exists():
        return
    with contextlib.closing(sqlite3.connect(file)) as connection:
        tables = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall()
        for name, definition in tables:
            if not definition.endswith(_NO_ROWID):
                connection.execute(f'ALTER TABLE "{name}" RENAME TO unsorted')
                connection.execute(definition + _NO_ROWID)
                connection.execute(
                    f'INSERT INTO "{name}" SELECT * FROM unsorted ORDER BY entity_key, feature_name'
                )
                connection.execute("DROP TABLE unsorted")
        connection.commit()
        connection.execute("VACUUM")
