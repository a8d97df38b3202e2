"""Registered models: written as files that can be trusted, with what scoring needs to
know, and loaded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

from churn.tables.files import write_json  # (before MLflow: it turns the telemetry off)

# isort: split
import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import skops.io
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from churn.baseline.drift import profile_column
from churn.modelling import model_names, tracking, trust
from churn.modelling.splitting import Drawn, Examples
from churn.modelling.tracking import TrackingError
from churn.params import Column, Params
from churn.tables.encoded import encode_typed

MODEL_FILE = "model.skops"
FACTS_FILE = "scoring.json"
FACTS_FORMAT = 1
INTERACTIVE = "-interactive"  # ends the name of the experiment of what JupyterLab runs
# File -> the tag with its SHA-256.
RECORDED = {MODEL_FILE: "model_sha256", FACTS_FILE: "facts_sha256"}
NEEDED_FOR_SCORING = ("scikit-learn", "skops", "numpy", "scipy", "pandas")

KeptModel = ModelVersion | LoggedModel  # registered, or not


@dataclass(frozen=True)
class Store:
    """Where models are kept, as `tracking.connect` takes it, and the name that those of the
    first data set get there (see `model_names`).
    """

    tracking_uri: str
    artifact_dir: str | Path
    experiment: str
    registered_model: str


@dataclass(frozen=True)
class Origin:
    """What a model comes from, as the tags of its run and of its version say.

    Attributes:
        run_id: of the flow's run; empty in JupyterLab.
        git_commit: that was checked out; empty in JupyterLab.
        data_set: its name.
        data: `real` or `synthetic`.
    """

    run_id: str
    git_commit: str
    data_set: str
    data: str

    def as_tags(self) -> dict[str, str]:
        """Return the tags of a version."""
        return {
            "churn.run_id": self.run_id,
            "churn.stage": "model_building",
            model_names.TAG: self.data_set,
            "git_commit": self.git_commit,
            "data": self.data,
        }


@dataclass(frozen=True)
class Recorded:
    """A model that MLflow keeps, and the run of MLflow that holds its evidence.

    Attributes:
        name: of its data set's registered model.
        model: the version of it; where the notebook was run in JupyterLab, and not by the
            flow, a model that is logged and not registered: nobody else will use it.
        mlflow_run_id: id of the run of MLflow.
        datasets: name -> MD5 of each dataset that is versioned.
        origin: see `Origin`.
    """

    name: str
    model: KeptModel
    mlflow_run_id: str
    datasets: Mapping[str, str]
    origin: Origin

    @property
    def title(self) -> str:
        """What it is called where something is said of it."""
        if isinstance(self.model, ModelVersion):
            return f"{self.name} version {self.model.version}"
        return "Nothing is registered by an interactive run; as one of the pipeline it would be"

    @property
    def lineage(self) -> dict[str, str]:
        """What the model came from: name -> id or hash."""
        own = {
            "version": describe(self.model),
            "run": self.origin.run_id,
            "MLflow run": self.mlflow_run_id,
            "git commit": self.origin.git_commit,
            "model SHA-256": self.model.tags["model_sha256"],
        }
        return own | {f"data/{name}": md5 for name, md5 in self.datasets.items()}


def record(
    model: Any,
    facts: Mapping[str, Any],
    evidence: tracking.Evidence,
    *,
    example: pd.DataFrame,
    store: Store,
    origin: Origin,
    pointers_dir: str | Path,
) -> Recorded:
    """Log a fitted classifier and its evidence to a new run of MLflow, and register it as
    the next version of its data set's registered model.

    Without a flow's run, in JupyterLab, it goes to an experiment of its own, and is not
    registered.

    Args:
        model: the classifier.
        facts: what scoring needs beside it; see `gather_facts`.
        evidence: parameters, metrics, plots and tables.
        example: a few rows of features, the signature.
        store: where.
        origin: what it comes from.
        pointers_dir: where the DVC pointers of the datasets are.

    Raises:
        TrackingError: MLflow's database is in use for too long, or the model holds types
            that are not trusted.
    """
    experiment = store.experiment if origin.run_id else store.experiment + INTERACTIVE
    place = tracking.connect(store.tracking_uri, store.artifact_dir, experiment)
    tags = {"model": facts["model"], model_names.RUN_TAG: origin.data_set} | origin.as_tags()
    with (
        tracking.new_run(place, origin.run_id, tags) as run,
        tracking.logging_evidence(evidence, pointers_dir) as datasets,
    ):
        logged = log_model(run, model, facts["model"], example, facts)
        mlflow.log_metrics(dict(evidence.metrics), model_id=logged.model_id)
        name, kept = _keep(logged, store, origin, datasets)
    return Recorded(name, kept, run.info.run_id, datasets, origin)


def _keep(
    logged: LoggedModel, store: Store, origin: Origin, datasets: Mapping[str, str]
) -> tuple[str, KeptModel]:
    """Register a model of a flow's run; return the name of its data set's registered model, and
    the model as it is kept.
    """
    if not origin.run_id:
        return model_names.name_for(store.registered_model, origin.data_set), logged
    name = model_names.claim(store.registered_model, origin.data_set)
    return name, register(logged, name, origin.as_tags() | tracking.as_tags(datasets))


def gather_facts(
    params: Params,
    *,
    model: str,
    features: pd.DataFrame,
    train: Examples,
    split: Drawn,
) -> dict[str, Any]:
    """Gather what scoring and the comparison of models need to know of a model's training.

    Args:
        params: of the data set.
        model: name of the candidate.
        features: the facts of each feature, with columns name, type, table and description.
        train: what it has learned from, without infinite numbers.
        split: how the test set was drawn.
    """
    known = (
        features.reindex(columns=["name", "type", "table", "description"])
        .fillna("")
        .set_index("name")
    )
    # As the model has them.
    order = known.sort_values("type", key=lambda kinds: kinds == "category", kind="stable")
    return {
        "format": FACTS_FORMAT,
        "model": model,
        "data_set": params.name,
        "features": order.to_dict("index"),
        "split": split.as_facts(),
        "trained": _describe_training(params, train),
        "profile": {
            name: profile_column(encode_typed(train.features[name], Column(type=kind)))
            for name, kind in known["type"].items()
        },
    }


def _describe_training(params: Params, train: Examples) -> dict[str, Any]:
    days = train.days
    seen = params.as_of_dates if days is None else days.dropna().drop_duplicates().sort_values()
    groups = len(np.unique(train.groups))
    return {
        "rows": len(train),
        # Told only where rows belong together, as those of one customer or copies do.
        **({"groups": groups} if groups < len(train) else {}),
        "churn_rate": float(np.mean(train.churned)),
        "as_of": [f"{day:%Y-%m-%d}" for day in seen],
        "label": params.label.model_dump(mode="json"),
    }


def log_model(
    run: Run, model: Any, name: str, example: pd.DataFrame, facts: Mapping[str, Any]
) -> LoggedModel:
    """Log a fitted classifier to a run in skops format, and return what MLflow knows of it.

    As a pyfunc it answers with `predict_proba`. The SHA-256 of its file is its tag
    `model_sha256`; equal models give an equal file. The columns of `example`, a few
    rows of features, are the signature. `facts`, what scoring needs beside the model,
    become `scoring.json` in its folder, with the tag `facts_sha256`.

    Raises:
        TrackingError: the model holds types that are not trusted.
    """
    client = mlflow.MlflowClient()
    logged = client.create_logged_model(
        run.info.experiment_id, name=name, source_run_id=run.info.run_id
    )
    with tempfile.TemporaryDirectory() as folder:
        about = Model(run_id=run.info.run_id, model_id=logged.model_id)
        signature = _signature(example, len(model.classes_))
        _save(model, Path(folder, "model"), about, signature, example)
        content = canonical(Path(folder, "model", MODEL_FILE).read_bytes())
        Path(folder, "model", MODEL_FILE).write_bytes(content)
        known = write_json(facts, Path(folder, "model"), Path(FACTS_FILE).stem).read_bytes()
        client.log_model_artifacts(logged.model_id, str(Path(folder, "model")))
    hashes = {
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "facts_sha256": hashlib.sha256(known).hexdigest(),
    }
    client.set_logged_model_tags(logged.model_id, hashes)
    client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)


def save_verified(registered: ModelVersion, folder: Path) -> None:
    """Write a version into a new folder of MLflow's, for its server.

    That loads whatever the folder's own `MLmodel` names, a pickle or a module too; of the
    registered folder only the classifier's file and its facts are what was recorded.

    Raises:
        TrackingError: the classifier's file is not.
    """
    model = load_version(registered)
    signature = mlflow.models.get_model_info(address(registered)).signature
    _save(model, folder, Model(), signature, example=None)


def _save(
    model: Any,
    folder: Path,
    about: Model,
    signature: ModelSignature | None,
    example: pd.DataFrame | None,
) -> None:
    try:
        types = trust.list_types(skops.io.dumps(model))
    except trust.ModelFileError as error:
        raise TrackingError(str(error)) from error
    needed = sorted({*NEEDED_FOR_SCORING, *trust.list_distributions(types)})
    # The requirements are what is installed. To compare them with it, MLflow (3.17) reads the
    # list of files of every installed package: more work than saving the model.
    check = "mlflow.utils.environment.warn_dependency_requirement_mismatches"
    with mock.patch(check, create=True):
        mlflow.sklearn.save_model(
            model,
            str(folder),
            mlflow_model=about,
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
            signature=signature,
            input_example=example,
            pip_requirements=[f"{package}=={version(package)}" for package in needed],
            pyfunc_predict_fn="predict_proba",
            skops_trusted_types=types,
        )


def register(logged: LoggedModel, name: str, tags: Mapping[str, str]) -> ModelVersion:
    """Register a logged model as the next version, its challenger, and its champion
    where there is none yet.
    """
    with contextlib.redirect_stderr(io.StringIO()):  # it praises itself there
        made = mlflow.register_model(logged.model_uri, name, tags=logged.tags | dict(tags))
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(name, "challenger", made.version)
    if model_names.CHAMPION not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, model_names.CHAMPION, made.version)
    return made


def address(model: KeptModel) -> str:
    """Return the address of a model, as MLflow's functions take it."""
    if isinstance(model, LoggedModel):
        return model.model_uri
    return f"models:/{model.name}/{model.version}"


def describe(model: KeptModel) -> str:
    """Return what a model is called in messages."""
    return address(model).removeprefix("models:/")


def load_version(kept: KeptModel) -> Any:
    """Load the classifier of a version of a registered model.

    Raises:
        TrackingError: its file is not the one whose SHA-256 was recorded with the version,
            or cannot be loaded here (see `trust.load`).
    """
    content = read_recorded(kept, MODEL_FILE, "model_sha256")
    try:
        return trust.load(content)
    except trust.ModelFileError as error:
        raise TrackingError(str(error)) from error


def load_checked(kept: KeptModel, features: pd.DataFrame, probability: Any) -> Any:
    """Load the classifier just recorded, as scoring will.

    Raises:
        TrackingError: its file is not the one that was recorded, or it answers otherwise
            than with these probabilities for these features.
    """
    loaded = load_version(kept)
    difference = np.abs(loaded.predict_proba(features)[:, 1] - probability).max()
    if not difference < 1e-12:
        raise TrackingError(
            f"The model {describe(kept)} cannot be used: it predicts other probabilities than "
            "before it was saved."
        )
    return loaded


def load_facts(kept: KeptModel) -> dict[str, Any]:
    """Load what scoring needs beside the classifier: the `facts` that a version was logged with.

    Raises:
        TrackingError: its file is not the one whose SHA-256 was recorded with the version.
    """
    facts: dict[str, Any] = json.loads(read_recorded(kept, FACTS_FILE, "facts_sha256"))
    return facts


def measure_size(kept: KeptModel) -> int:
    """Return the bytes of the file of a version's classifier."""
    folder = mlflow.artifacts.download_artifacts(address(kept))
    return Path(folder, MODEL_FILE).stat().st_size


def read_recorded(kept: KeptModel, name: str, tag: str) -> bytes:
    """Return the content of a file of a version.

    Raises:
        TrackingError: it is not the one whose SHA-256 is recorded in a tag of the version.
    """
    file = Path(mlflow.artifacts.download_artifacts(address(kept)), name)
    content, recorded = (
        file.read_bytes() if file.is_file() else b"",
        kept.tags.get(tag, "none"),
    )
    if (measured := hashlib.sha256(content).hexdigest()) != recorded:
        raise TrackingError(
            f"{file} is not what was registered as {describe(kept)}: "
            f"its SHA-256 is {measured}, recorded is {recorded}. Do not use it: train again."
        )
    return content


def canonical(content: bytes) -> bytes:
    """Rewrite a skops file so that equal models give equal bytes.

    skops names objects and files by memory address and dates the files: both are
    replaced, by order and by 1980.
    """
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as received,
        zipfile.ZipFile(target, "w") as rewritten,
    ):
        schema, files = json.loads(received.read("schema.json")), dict[str, str]()
        _renumber(schema, {}, files)
        for name in received.namelist()[:-1]:  # the last is the schema
            rewritten.writestr(zipfile.ZipInfo(files[name]), received.read(name))
        rewritten.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema))
    return target.getvalue()


def _renumber(node: Any, objects: dict[int, int], files: dict[str, str]) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("__id__"), int):
            node["__id__"] = objects.setdefault(node["__id__"], len(objects))
        if isinstance(node.get("file"), str):
            node["file"] = files.setdefault(
                node["file"], f"{len(files)}{Path(node['file']).suffix}"
            )
    if isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            _renumber(child, objects, files)


def _signature(example: pd.DataFrame, classes: int) -> ModelSignature:
    types = {
        str(n): DataType.double if dtype == "float64" else DataType.string
        for n, dtype in example.dtypes.items()
    }
    columns: list[ColSpec | TensorSpec] = [ColSpec(type_, name) for name, type_ in types.items()]
    return ModelSignature(Schema(columns), Schema([TensorSpec(np.dtype("float64"), (-1, classes))]))
