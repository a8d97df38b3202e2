"""Registered models: written as files that can be trusted, with what scoring needs to know, and loaded again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import stagekit  # (before MLflow: it turns the telemetry off)

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

from drift import profile_column
from encoded import encode_typed
from params import Column, Params
from tracking import TrackingError

MODEL_FILE = "model.skops"
FACTS_FILE = "scoring.json"
FACTS_FORMAT = 1
RECORDED = {MODEL_FILE: "model_sha256", FACTS_FILE: "facts_sha256"}  # file -> the tag with its SHA-256
NEEDED_FOR_SCORING = ("scikit-learn", "skops", "numpy", "scipy", "pandas")

# What skops does not trust by itself in the candidates' pipelines. Making one of these runs no code from the file.
TRUSTED_TYPES = (
    "functools.partial",  # gradient boosting, which checks its numbers with it
    "numpy.dtype",  # the one-hot encoder's
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # a spline's, with SciPy 1.17
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",  # a spline's, with SciPy 1.18
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.StratifiedKFold",  # with which churn rates of categories are learned
    "sklearn.utils._bunch.Bunch",  # the models of a blend by name
    "sklearn.utils.validation.check_array",
)


def gather_facts(
    params: Params,
    model: str,
    features: pd.DataFrame,
    train: pd.DataFrame,
    churned: Any,
    days: pd.Series[Any] | None,
    split: Mapping[str, Any],
) -> dict[str, Any]:
    """Gather what scoring and the comparison of models need to know of a model's training.

    Args:
        params: of the data set.
        model: name of the candidate.
        features: the facts of each feature, with columns name, type, table and description.
        train: the features of the training rows, without infinite numbers.
        churned: their answers.
        days: their as-of days, where there are several.
        split: how the test set was drawn.
    """
    known = features.reindex(columns=["name", "type", "table", "description"]).fillna("").set_index("name")
    order = known.sort_values("type", key=lambda kinds: kinds == "category", kind="stable")  # as the model has them
    seen = params.as_of_dates if days is None else days.dropna().drop_duplicates().sort_values()
    return {
        "format": FACTS_FORMAT,
        "model": model,
        "data_set": params.name,
        "features": order.to_dict("index"),
        "split": dict(split),
        "trained": {
            "rows": len(train),
            "churn_rate": float(np.mean(churned)),
            "as_of": [f"{day:%Y-%m-%d}" for day in seen],
            "label": params.label.model_dump(mode="json"),
        },
        "profile": {
            name: profile_column(encode_typed(train[name], Column(type=kind))) for name, kind in known["type"].items()
        },
    }


def log_model(run: Run, model: Any, name: str, example: pd.DataFrame, facts: Mapping[str, Any]) -> LoggedModel:
    """Log a fitted classifier to a run in skops format, and return what MLflow knows of it.

    As a pyfunc it answers with `predict_proba`. The SHA-256 of its file is its tag `model_sha256`; equal models give an
    equal file. The columns of `example`, a few rows of features, are the signature. `facts`, what scoring needs beside
    the model, become `scoring.json` in its folder, with the tag `facts_sha256`.

    Raises:
        TrackingError: the model holds types that `TRUSTED_TYPES` does not list.
    """
    client = mlflow.MlflowClient()
    logged = client.create_logged_model(run.info.experiment_id, name=name, source_run_id=run.info.run_id)
    with tempfile.TemporaryDirectory() as folder:
        about = Model(run_id=run.info.run_id, model_id=logged.model_id)
        _save(model, Path(folder, "model"), about, example)
        content = canonical(Path(folder, "model", MODEL_FILE).read_bytes())
        Path(folder, "model", MODEL_FILE).write_bytes(content)
        known = stagekit.write_json(facts, Path(folder, "model"), Path(FACTS_FILE).stem).read_bytes()
        client.log_model_artifacts(logged.model_id, str(Path(folder, "model")))
    hashes = {"model_sha256": hashlib.sha256(content).hexdigest(), "facts_sha256": hashlib.sha256(known).hexdigest()}
    client.set_logged_model_tags(logged.model_id, hashes)
    client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)


def _save(model: Any, folder: Path, about: Model, example: pd.DataFrame) -> None:
    untrusted = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    if unknown := sorted(set(untrusted) - set(TRUSTED_TYPES)):
        raise TrackingError(
            f"The model holds types that skops does not trust: {', '.join(unknown)}. "
            "If loading them is safe, add them to TRUSTED_TYPES in notebooks/registry.py."
        )
    mlflow.sklearn.save_model(
        model,
        str(folder),
        mlflow_model=about,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        signature=_signature(example, len(model.classes_)),
        input_example=example,
        pip_requirements=[f"{package}=={version(package)}" for package in NEEDED_FOR_SCORING],
        pyfunc_predict_fn="predict_proba",
        skops_trusted_types=sorted(untrusted),
    )


def register(logged: LoggedModel, name: str, tags: Mapping[str, str]) -> ModelVersion:
    """Register a logged model as the next version, its challenger, and its champion where there is none yet."""
    with contextlib.redirect_stderr(io.StringIO()):  # it praises itself there
        made = mlflow.register_model(logged.model_uri, name, tags=logged.tags | dict(tags))
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(name, "challenger", made.version)
    if "champion" not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, "champion", made.version)
    return made


def load_version(registered: ModelVersion) -> Any:
    """Load the classifier of a version of a registered model, trusting `TRUSTED_TYPES` only.

    Raises:
        TrackingError: its file is not the one whose SHA-256 was recorded with the version.
    """
    return skops.io.loads(read_recorded(registered, MODEL_FILE, "model_sha256"), trusted=list(TRUSTED_TYPES))


def load_facts(registered: ModelVersion) -> dict[str, Any]:
    """Load what scoring needs beside the classifier: the `facts` that a version was logged with.

    Raises:
        TrackingError: its file is not the one whose SHA-256 was recorded with the version.
    """
    facts: dict[str, Any] = json.loads(read_recorded(registered, FACTS_FILE, "facts_sha256"))
    return facts


def measure_size(registered: ModelVersion) -> int:
    """Return the bytes of the file of a version's classifier."""
    address = f"models:/{registered.name}/{registered.version}/{MODEL_FILE}"
    return Path(mlflow.artifacts.download_artifacts(address)).stat().st_size


def read_recorded(registered: ModelVersion, name: str, tag: str) -> bytes:
    """Return the content of a file of a version.

    Raises:
        TrackingError: it is not the one whose SHA-256 is recorded in a tag of the version.
    """
    address = f"models:/{registered.name}/{registered.version}"
    file = Path(mlflow.artifacts.download_artifacts(address), name)
    content, recorded = file.read_bytes() if file.is_file() else b"", registered.tags.get(tag, "none")
    if (measured := hashlib.sha256(content).hexdigest()) != recorded:
        raise TrackingError(
            f"{file} is not what was registered as {registered.name} {registered.version}: "
            f"its SHA-256 is {measured}, recorded is {recorded}. Do not use it: train again."
        )
    return content


def canonical(content: bytes) -> bytes:
    """Rewrite a skops file so that equal models give equal bytes.

    skops names objects and files by memory address and dates the files: both are replaced, by order and by 1980.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as received, zipfile.ZipFile(target, "w") as rewritten:
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
            node["file"] = files.setdefault(node["file"], f"{len(files)}{Path(node['file']).suffix}")
    if isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            _renumber(child, objects, files)


def _signature(example: pd.DataFrame, classes: int) -> ModelSignature:
    types = {str(n): DataType.double if dtype == "float64" else DataType.string for n, dtype in example.dtypes.items()}
    columns: list[ColSpec | TensorSpec] = [ColSpec(type_, name) for name, type_ in types.items()]
    return ModelSignature(Schema(columns), Schema([TensorSpec(np.dtype("float64"), (-1, classes))]))
