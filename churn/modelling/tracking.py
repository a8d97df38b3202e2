"""MLflow for the model-building notebook: a database that is whole or absent, runs, and
models that can be trusted.

Opens no connection but to the tracking address: no telemetry, no look-up of git or of a cloud.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from churn import pandas_semantics  # noqa: F401  (before MLflow: it turns the telemetry off)

# isort: split
import mlflow
import mlflow.sklearn
from filelock import FileLock, Timeout
from mlflow.data.dataset import Dataset
from mlflow.data.meta_dataset import MetaDataset
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from ruamel.yaml import YAML
from sqlalchemy import URL, exc, make_url

from churn.modelling.processes import running

if TYPE_CHECKING:
    from matplotlib.figure import Figure

for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_IN_USE = (
    "MLflow's database {} is in use by another program for too long: "
    "end it (an MLflow server, a database browser, another run), then run this stage again."
)


class TrackingError(Exception):
    """MLflow's database cannot be used now, or a model in it is not the one that was recorded."""


def connect(
    tracking_uri: str, artifact_dir: str | Path, experiment: str, wait_seconds: float = 60
) -> str:
    """Point MLflow at its database, making it and the experiment if they are absent,
    and return the experiment's id.

    Args:
        tracking_uri: an MLflow address; a relative `sqlite:///` path is relative to the
            working directory.
        artifact_dir: where a new experiment keeps its artifacts: a local folder, or an
            address with a scheme.
        experiment: its name.
        wait_seconds: how long to wait for another program that holds the database.

    Raises:
        TrackingError: another program holds the database for longer, or it is damaged.
    """
    folder = None if "://" in str(artifact_dir) else Path(artifact_dir).resolve()
    place = folder.as_uri() if folder else str(artifact_dir)
    database = _sqlite_file(tracking_uri)
    if database is None:
        mlflow.set_tracking_uri(tracking_uri)
        return _find_or_create(experiment, place)
    with _alone(database, wait_seconds):
        if not database.exists() or database.stat().st_size == 0:
            _create(database, place)
        _wait_until_free(database, wait_seconds)
        if folder:
            _follow_move(database, experiment, folder)
        mlflow.set_tracking_uri(_address(database))
        return _find_or_create(experiment, place)


@contextlib.contextmanager
def new_run(experiment_id: str, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """Log to a new run: FINISHED when the block ends well, FAILED when it raises,
    RUNNING when its process is killed.

    Raises:
        TrackingError: another program held the database for longer than MLflow waits.
    """
    try:
        # A run that `start_run` makes itself would ask git, Databricks and others for tags.
        run = mlflow.MlflowClient().create_run(
            experiment_id, tags=dict(tags), run_name=name or None
        )
        with mlflow.start_run(run_id=run.info.run_id, log_system_metrics=False) as active:
            yield active
    except (MlflowException, exc.OperationalError) as error:
        if "database is locked" not in str(error):
            raise
        raise TrackingError(_IN_USE.format(_sqlite_file(mlflow.get_tracking_uri()))) from error


def log_datasets(pointers_dir: str | Path) -> dict[str, str]:
    """Log each dataset's MD5 as its DVC pointer `<name>.dvc` states it, as tag and as
    input, and return them by name.

    Without pointers (DVC has not run yet) nothing is logged.
    """
    hashes, datasets = dict[str, str](), list[Dataset | None]()
    for pointer in sorted(Path(pointers_dir).glob("[!.]*.dvc")):
        outs = YAML(typ="safe", pure=True).load(pointer.read_text(encoding="utf-8")).get("outs", [])
        for out in [out for out in outs if "md5" in out]:
            hashes[pointer.stem] = out["md5"]
            source = LocalArtifactDatasetSource((pointer.parent / out["path"]).resolve().as_uri())
            datasets.append(MetaDataset(source, name=pointer.stem, digest=out["md5"]))  # type: ignore[abstract]
    contexts: list[str | None] = [None] * len(datasets)
    mlflow.log_inputs(datasets, contexts, tags_list=[{} for _ in datasets])
    mlflow.set_tags(as_tags(hashes))
    return hashes


@dataclass(frozen=True)
class Evidence:
    """What a run of model building logs beside its model.

    Attributes:
        settings: how it was made; nested ones are logged as `outer.inner`.
        metrics: by the names that the run's record has too.
        plots: name -> figure, which becomes `plots/<name>.png`.
        tables: name -> table, which becomes `<name>.csv`.
    """

    settings: Mapping[str, Any]
    metrics: Mapping[str, float]
    plots: Mapping[str, Figure]
    tables: Mapping[str, pd.DataFrame]


@contextlib.contextmanager
def logging_evidence(evidence: Evidence, pointers_dir: str | Path) -> Iterator[dict[str, str]]:
    """Log settings and the datasets, whose MD5s are yielded, and in the end tables and plots,
    which are drawn by other processes while the model is logged within; the metrics go with that
    (see `registry.record`).
    """
    figures = [(figure,) for figure in evidence.plots.values()]
    with running(_render, figures, rows=0) as pictures, tempfile.TemporaryDirectory() as folder:
        flat = pd.json_normalize(dict(evidence.settings)).iloc[0]
        mlflow.log_params({str(name): value for name, value in flat.items()})
        yield log_datasets(pointers_dir)
        Path(folder, "plots").mkdir()
        for name, picture in zip(evidence.plots, pictures(), strict=True):
            Path(folder, "plots", f"{name}.png").write_bytes(picture)
        for name, table in evidence.tables.items():
            table.to_csv(Path(folder, f"{name}.csv"), index=False)
        mlflow.log_artifacts(folder)


def _render(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.set_layout_engine("none")  # it was laid out when it was shown: half of the time
    figure.savefig(picture, format="png")
    return picture.getvalue()


def as_tags(hashes: Mapping[str, str]) -> dict[str, str]:
    """Return datasets' MD5s, by name, as the tags that runs and registered versions carry."""
    return {f"dataset.{name}.md5": md5 for name, md5 in hashes.items()}


def _sqlite_file(tracking_uri: str) -> Path | None:
    return (
        Path(make_url(tracking_uri).database or "").resolve()
        if tracking_uri.startswith("sqlite:///")
        else None
    )


def _address(database: Path) -> str:
    # Seconds, as most of MLflow waits for a lock; its model registry would wait for 5.
    wait = {"timeout": "20"}
    return URL.create("sqlite", database=database.as_posix(), query=wait).render_as_string()


@contextlib.contextmanager
def _alone(database: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the lock under which the database is made; the system frees it when this
    process is killed.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{database}.lock", timeout=wait_seconds):
            yield
    except Timeout:
        raise TrackingError(_IN_USE.format(database)) from None


def _create(database: Path, artifacts: str) -> None:
    """Let MLflow make its database under another name, then move it: a killed process
    leaves none at its place.
    """
    for leftover in database.parent.glob(f".{database.name}.partial*"):
        leftover.unlink()
    partial = database.with_name(f".{database.name}.partial")
    store = SqlAlchemyStore(_address(partial), artifacts)  # type: ignore[no-untyped-call]
    store.engine.dispose()
    partial.replace(database)


def _wait_until_free(database: Path, wait_seconds: float) -> None:
    """Take the write lock once: MLflow itself waits for some of its statements only."""
    with contextlib.closing(sqlite3.connect(database, timeout=wait_seconds)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise TrackingError(_IN_USE.format(database)) from error
        except sqlite3.DatabaseError as error:
            raise TrackingError(
                f"MLflow's database {database} is damaged: {error}. Put a copy of it back, or move "
                "it away, with the runs and models in it."
            ) from error


_ADDRESSES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("experiments", "artifact_location"),
)


def _follow_move(database: Path, experiment: str, artifacts: Path) -> None:
    """Correct the absolute addresses that MLflow keeps when the project's folder,
    artifacts included, was moved.
    """
    new = artifacts.as_uri()
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        row = connection.execute(
            "SELECT artifact_location FROM experiments WHERE name = ?", [experiment]
        ).fetchone()
        if row is None or row[0] == new or not (artifacts.is_dir() and any(artifacts.iterdir())):
            return
        for table, column in _ADDRESSES:
            connection.execute(
                f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "
                f"WHERE {column} = :old OR substr({column}, 1, length(:old) + 1) = :old || '/'",
                {"new": new, "old": row[0]},
            )


def _find_or_create(experiment: str, artifacts: str) -> str:
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(experiment)
    return str(
        found.experiment_id
        if found
        else client.create_experiment(experiment, artifact_location=artifacts)
    )
