"""Versions of registered models in a real MLflow database, without a model behind them."""

from __future__ import annotations

from pathlib import Path

from churn.modelling import model_names, tracking
from churn.modelling.tracking import mlflow


def connect(folder: Path) -> str:
    """Connect to the database in a folder; return the id of its experiment."""
    uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
    return tracking.connect(uri, folder / "mlartifacts", "churn")


def train(folder: Path, data_set: str, base: str = "churn") -> str:
    """Register a version as model building does, the champion if it is the first; return
    what people call it, such as `churn/1`.
    """
    name = model_names.claim(base, data_set)
    return add_version(folder, name, data_set, tags={model_names.TAG: data_set})


def add_version(
    folder: Path, name: str, data_set: str, tags: dict[str, str] | None = None, run_id: str = ""
) -> str:
    """Add a version, whose run says of which data set it is; without tags as version 0.1.0 did."""
    client = mlflow.MlflowClient()
    run = client.create_run(connect(folder), tags={"dataset": data_set})
    known = {"churn.run_id": run_id, **(tags or {})}
    made = client.create_model_version(name, "file:///model", run.info.run_id, tags=known)
    client.set_registered_model_alias(name, "challenger", made.version)
    if "champion" not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, "champion", made.version)
    return f"{name}/{made.version}"


def make_old(folder: Path, *data_sets: str, champion: int) -> None:
    """Make what version 0.1.0 left: the models of all data sets under the name `churn`."""
    connect(folder)
    mlflow.MlflowClient().create_registered_model("churn")
    for data_set in data_sets:
        add_version(folder, "churn", data_set)
    mlflow.MlflowClient().set_registered_model_alias("churn", "champion", str(champion))
