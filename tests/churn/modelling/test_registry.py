"""Registered models: files that can be trusted, with what scoring needs beside them."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from churn.modelling import calibration, encoders, registry, splitting, tracking, trust
from churn.modelling.tracking import mlflow
from churn.params import Params
from helpers.modelled import make_contest
from helpers.projects import ROOT

FEATURES = pd.DataFrame(
    {
        "tenure": np.arange(200.0),
        "price": [50.0, np.nan] * 100,
        "contract": ["month", "year", "month", "two years"] * 50,
    }
)
CHURNED = np.array([1, 0, 1, 0] * 50)
AREAS = [f"area {number % 40}" for number in range(200)]
COLUMNS = ["tenure", "price"], ["contract"]


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        """Say what unpickling does."""
        return Path.touch, (self.file,)


def fit(kind: str = "logistic_regression", churned: Any = CHURNED) -> Any:
    """Fit a small pipeline like the notebook's; of `calibrated` a blend with a calibrator."""
    features = encoders.as_features(FEATURES.assign(area=AREAS), COLUMNS[0], [*COLUMNS[1], "area"])
    columns = encoders.Columns(COLUMNS[0], COLUMNS[1], ["area"])
    models = make_contest(columns, strengths=(1.0,)).pipelines(
        {"gradient_boosting": {"num_leaves": 3, "n_estimators": 5}}
    )
    name, _, method = kind.partition(" ")
    folds = splitting.make_folds(churned, np.arange(len(churned)), folds=3, repeats=1, seed=0)
    train = splitting.Examples(features, churned, np.arange(len(churned)))
    return calibration.fit(models[name], method or calibration.NONE, train, folds)


KINDS = (
    "logistic_regression",
    "gradient_boosting",
    "blend",
    "blend temperature",
    "gradient_boosting isotonic",
)
EXAMPLE = encoders.as_features(FEATURES.assign(area=AREAS), COLUMNS[0], [*COLUMNS[1], "area"]).head(
    5
)


def connect(folder: Path, wait_seconds: float = 60) -> str:
    """Connect to a database in a folder as the notebook does."""
    return tracking.connect(
        f"sqlite:///{folder.as_posix()}/mlflow.db", folder / "mlartifacts", "churn", wait_seconds
    )


def train_and_register(folder: Path, kind: str = "logistic_regression") -> str:
    """Log and register a model, and return the id of its run."""
    with tracking.new_run(connect(folder), "", {}) as run:
        registry.register(
            registry.log_model(run, fit(kind), kind, EXAMPLE, {"threshold": 0.5}), "churn", {}
        )
    return str(run.info.run_id)


def load(alias: str) -> Any:
    """Load the model behind an alias as scoring does."""
    return registry.load_version(mlflow.MlflowClient().get_model_version_by_alias("churn", alias))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database and one registered model; tests do not change it."""
    folder = tmp_path_factory.mktemp("made")
    train_and_register(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_logged_model_predicts_its_example_again(outputs: Path, kind: str) -> None:
    """Through mlflow.sklearn, pyfunc and this project's loader the model answers as
    before it was saved.
    """
    train_and_register(outputs, kind)
    expected = fit(kind).predict_proba(EXAMPLE)
    address = "models:/churn@challenger"
    example = mlflow.models.Model.load(address).load_input_example(
        mlflow.artifacts.download_artifacts(address)
    )
    assert mlflow.sklearn.load_model(address).predict_proba(EXAMPLE) == pytest.approx(expected)
    assert mlflow.pyfunc.load_model(address).predict(example) == pytest.approx(expected)
    assert load("champion").predict_proba(EXAMPLE) == pytest.approx(expected)


def test_saving_does_not_look_through_all_packages(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow would, to warn of requirements that are not installed; ours are what is."""
    looked: list[str] = []
    look = "mlflow.utils.requirements_utils._init_packages_to_modules_map"
    monkeypatch.setattr(look, lambda: looked.append("looked"))
    train_and_register(outputs)
    assert looked == []


def test_logged_model_pins_what_scoring_needs(made: Path) -> None:
    """The requirements are the packages that scoring imports, each with the version of
    this environment.
    """
    (file,) = made.glob("mlartifacts/models/*/artifacts/requirements.txt")
    lines = file.read_text().splitlines()
    assert {line.split("==")[0] for line in lines} == {"mlflow", *registry.NEEDED_FOR_SCORING}
    assert f"scikit-learn=={sys.modules['sklearn'].__version__}" in lines


def test_signature_names_each_feature_with_its_type(made: Path) -> None:
    """Numbers are doubles, categories strings."""
    connect(made)
    inputs = mlflow.models.Model.load("models:/churn@champion").signature.inputs
    assert [(column.name, column.type.name) for column in inputs] == [
        ("tenure", "double"),
        ("price", "double"),
        ("contract", "string"),
        ("area", "string"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_equal_models_give_equal_files(kind: str) -> None:
    """Two fits on the same customers give the same bytes, which load again; another fit
    gives others.
    """
    first, second = (registry.canonical(skops.io.dumps(fit(kind))) for _ in range(2))
    other = fit(kind, CHURNED[::-1])
    assert first == second
    assert registry.canonical(skops.io.dumps(other)) != first
    loaded = trust.load(first)
    assert (loaded.predict_proba(EXAMPLE) == fit(kind).predict_proba(EXAMPLE)).all()


def test_changed_model_file_is_refused(outputs: Path) -> None:
    """A model file with another SHA-256 than the recorded one is not loaded; the
    message shows both.
    """
    train_and_register(outputs)
    (file,) = outputs.glob("mlartifacts/models/*/artifacts/model.skops")
    file.write_bytes(registry.canonical(skops.io.dumps(fit("gradient_boosting"))))
    with pytest.raises(
        tracking.TrackingError, match=r"SHA-256\b.*\b[0-9a-f]{64}\b.*\b[0-9a-f]{64}\b"
    ):
        load("challenger")


def test_a_pickle_that_was_put_beside_the_model_is_not_loaded(
    outputs: Path, tmp_path: Path
) -> None:
    """MLflow itself would load what the folder names; what its server is given is made of the
    verified file alone.
    """
    train_and_register(outputs)
    version = mlflow.MlflowClient().get_model_version_by_alias("churn", "challenger")
    before = load("challenger").predict_proba(EXAMPLE)
    (about,) = outputs.glob("mlartifacts/models/*/artifacts/MLmodel")
    loaded = tmp_path / "loaded"
    about.with_name("model.pkl").write_bytes(pickle.dumps(Harmful(loaded)))
    text = about.read_text().replace("serialization_format: skops", "serialization_format: pickle")
    about.write_text(text.replace("model.skops", "model.pkl"))
    with contextlib.suppress(Exception):
        mlflow.sklearn.load_model("models:/churn/1")
    assert loaded.exists(), "it was harmful"
    loaded.unlink()
    registry.save_verified(version, tmp_path / "served")
    served = mlflow.pyfunc.load_model(str(tmp_path / "served"))
    assert (served.predict(EXAMPLE) == before).all()
    assert served.metadata.signature is not None
    assert not loaded.exists()


def test_facts_come_with_the_model_and_are_refused_when_changed(outputs: Path) -> None:
    """What scoring needs beside the model is read again; with another SHA-256 than the
    recorded one it is not.
    """
    train_and_register(outputs)
    version = mlflow.MlflowClient().get_model_version_by_alias("churn", "challenger")
    assert registry.load_facts(version) == {"threshold": 0.5}
    (file,) = outputs.glob("mlartifacts/models/*/artifacts/scoring.json")
    file.write_text('{"threshold": 0.1}', encoding="utf-8")
    with pytest.raises(tracking.TrackingError, match=r"scoring\.json.*recorded is \w{64}"):
        registry.load_facts(version)


class Stranger(TransformerMixin, BaseEstimator):
    """A transformer that nobody has vouched for."""

    def fit(self, features: Any, churned: Any = None) -> Stranger:
        """Learn nothing."""
        return self

    def transform(self, features: Any) -> Any:
        """Keep the numbers."""
        return features[["tenure"]]


def test_model_with_a_strange_type_is_not_logged(outputs: Path) -> None:
    """A type that is not on the list is named, and the run fails."""
    model = make_pipeline(Stranger(), LogisticRegression()).fit(EXAMPLE, CHURNED[:5])
    with (
        pytest.raises(tracking.TrackingError, match=r"Stranger.*churn/modelling/trust\.py"),
        tracking.new_run(connect(outputs), "", {}) as run,
    ):
        registry.log_model(run, model, "strange", EXAMPLE, {})
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"


def test_champion_stays_when_a_challenger_comes(outputs: Path) -> None:
    """The first version is champion and challenger, the second challenger only."""
    for _ in range(2):
        train_and_register(outputs)
    aliases = mlflow.MlflowClient().get_registered_model("churn").aliases
    assert {alias: int(number) for alias, number in aliases.items()} == {
        "champion": 1,
        "challenger": 2,
    }


def test_moved_project_keeps_its_models(outputs: Path) -> None:
    """After the folder was moved, models load from the new place and new artifacts go there."""
    train_and_register(outputs)
    moved = outputs.rename(outputs.with_name("moved"))
    train_and_register(moved)
    load("champion")
    assert not outputs.exists()
    assert len(list(moved.glob("mlartifacts/models/*"))) == 2


LISTEN = """
import json, sys
seen = []
def hear(event, details):
    is_git = event == "subprocess.Popen" and "git" in str(details[0])
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") or is_git:
        seen.append([event, str(details)])
sys.addaudithook(hear)
sys.path.insert(0, sys.argv[3])
import pathlib, test_registry
test_registry.train_and_register(pathlib.Path(sys.argv[2]).parent)
print(json.dumps(seen))
"""


def test_nothing_is_sent_and_git_is_not_asked(tmp_path: Path) -> None:
    """From the import to the registered model, a process makes no connection and does
    not start git.
    """
    silencers = (
        "CI",
        "DO_NOT_TRACK",
        "GITHUB_ACTIONS",
        "MLFLOW_DISABLE_TELEMETRY",
        "PYTEST_CURRENT_TEST",
    )
    environment = {name: value for name, value in os.environ.items() if name not in silencers}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            LISTEN,
            "",
            str(tmp_path / "mlartifacts"),
            str(Path(__file__).parent),
        ],
        env=environment | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(answer.stdout.splitlines()[-1]) == []


def test_facts_name_features_split_and_training() -> None:
    """What scoring reads beside the model: features in the model's order, days, label,
    split and a profile of each.
    """
    params = Params.model_validate(
        {
            "name": "Little company",
            "customer_id": "id",
            "as_of": "2025-10-01",
            "label": {"column": "left", "positive": "yes"},
            "sources": {"customers": {"file": "c.csv"}},
        }
    )
    about = pd.DataFrame(
        {
            "name": ["contract", "tenure"],
            "type": ["category", "number"],
            "description": ["kind of contract", None],
        }
    )
    train = encoders.as_features(FEATURES, ["tenure"], ["contract"])
    facts = registry.gather_facts(
        params,
        model="blend",
        features=about,
        train=splitting.Examples(train, CHURNED, np.arange(len(train))),
        split=splitting.Drawn("customers", "salt", 0.2),
    )
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert list(facts["features"]) == ["tenure", "contract"]
    assert facts["features"]["contract"] == {
        "type": "category",
        "table": "",
        "description": "kind of contract",
    }
    assert (facts["format"], facts["model"], facts["data_set"]) == (1, "blend", "Little company")
    assert facts["split"] == {
        "how": "customers",
        "salt": "salt",
        "test_share": 0.2,
        "test_from": None,
    }
    assert facts["trained"]["as_of"] == ["2025-10-01"]
    assert (facts["trained"]["rows"], facts["trained"]["churn_rate"]) == (200, 0.5)
    assert facts["profile"]["contract"]["top"] == {"month": 100, "two years": 50, "year": 50}
    assert facts["profile"]["tenure"]["quantiles"][-1] == 199
