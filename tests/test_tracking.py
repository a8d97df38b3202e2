"""MLflow: a database that is whole or absent, runs with a true status, models that can be trusted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sqlalchemy import URL

import modelling
import tracking
from tracking import mlflow

ROOT = Path(__file__).resolve().parent.parent
FEATURES = pd.DataFrame(
    {
        "tenure": np.arange(200.0),
        "price": [50.0, np.nan] * 100,
        "contract": ["month", "year", "month", "two years"] * 50,
    }
)
CHURNED = np.array([1, 0, 1, 0] * 50)
CONNECT = "import sys, tracking; print(tracking.connect(sys.argv[1], sys.argv[2], 'churn'))"


def fit(kind: str = "linear") -> Any:
    """Fit a small pipeline like the notebook's."""
    features = modelling.as_features(FEATURES, ["tenure", "price"], ["contract"])
    linear = modelling.encode_for_linear(["tenure", "price"], ["contract"], knots=5, rare=2, seed=0)
    trees = modelling.encode_for_trees(["tenure", "price"], ["contract"], rare=2)
    boosting = HistGradientBoostingClassifier(categorical_features=[0], max_iter=5, random_state=0)
    models = {
        "linear": make_pipeline(linear, LogisticRegression(solver="newton-cholesky")),
        "trees": make_pipeline(trees, boosting),
    }
    return models[kind].fit(features, CHURNED)


EXAMPLE = modelling.as_features(FEATURES, ["tenure", "price"], ["contract"]).head(5)


def connect(folder: Path, wait_seconds: float = 60) -> str:
    """Connect to a database in a folder as the notebook does."""
    return tracking.connect(f"sqlite:///{folder.as_posix()}/mlflow.db", folder / "mlartifacts", "churn", wait_seconds)


def start(folder: Path, code: str = CONNECT) -> subprocess.Popen[str]:
    """Start another process that connects to the same database."""
    return subprocess.Popen(
        [sys.executable, "-c", code, f"sqlite:///{folder.as_posix()}/mlflow.db", str(folder / "mlartifacts")],
        env=os.environ | {"PYTHONPATH": str(ROOT / "notebooks")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train_and_register(folder: Path, kind: str = "linear") -> str:
    """Log and register a model, and return the id of its run."""
    with tracking.new_run(connect(folder), "", {}) as run:
        tracking.register(tracking.log_model(run, fit(kind), kind, EXAMPLE), "churn", {})
    return str(run.info.run_id)


def load(alias: str) -> Any:
    """Load the model behind an alias as scoring does."""
    return tracking.load_version(mlflow.MlflowClient().get_model_version_by_alias("churn", alias))


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database as it is made first, which takes a second or two."""
    folder = tmp_path_factory.mktemp("template")
    tracking.connect(f"sqlite:///{folder.as_posix()}/mlflow.db", folder, "another")
    return folder / "mlflow.db"


@pytest.fixture
def outputs(tmp_path: Path, empty_database: Path) -> Path:
    """A folder with an empty database."""
    (tmp_path / "outputs").mkdir()
    shutil.copy(empty_database, tmp_path / "outputs" / "mlflow.db")
    return tmp_path / "outputs"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database and one registered model; tests do not change it."""
    folder = tmp_path_factory.mktemp("made")
    train_and_register(folder)
    return folder


def test_first_start_makes_a_whole_database(tmp_path: Path) -> None:
    """In a folder with a difficult name the database is sound, and artifacts get an address inside that folder."""
    folder = tmp_path / "Daten für 100%20 Kunden #1"
    address = URL.create("sqlite", database=(folder / "mlflow.db").as_posix()).render_as_string()
    experiment = mlflow.get_experiment(tracking.connect(address, folder / "mlartifacts", "churn"))
    database = sqlite3.connect(folder / "mlflow.db")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert experiment.artifact_location == (folder / "mlartifacts").as_uri()
    assert sorted(path.name for path in folder.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
    with tracking.new_run(experiment.experiment_id, "", {}):
        mlflow.log_text("kept", "note.txt")
    assert [path.read_text() for path in folder.glob("mlartifacts/*/artifacts/note.txt")] == ["kept"]


def test_relative_address_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook's own default addresses lead to the outputs folder beside the notebooks folder."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    tracking.connect("sqlite:///../outputs/mlflow.db", "../outputs/mlartifacts", "churn")
    assert (tmp_path / "outputs" / "mlflow.db").is_file()
    assert list((tmp_path / "notebooks").iterdir()) == []


def test_two_first_starts_at_once_both_work(tmp_path: Path) -> None:
    """Two processes that find no database end up with the same experiment in one sound database."""
    others = [start(tmp_path) for _ in range(2)]
    answers = [other.communicate(timeout=120) for other in others]
    assert [other.returncode for other in others] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    names = sqlite3.connect(tmp_path / "mlflow.db").execute("SELECT name FROM experiments ORDER BY name").fetchall()
    assert names == [("Default",), ("churn",)]


def test_kill_while_the_database_is_made_leaves_none(tmp_path: Path) -> None:
    """After SIGKILL in the middle there is no database at its place, and the next start makes a whole one."""
    other = start(tmp_path)
    partial = tmp_path / ".mlflow.db.partial"
    while not partial.exists() and other.poll() is None:
        time.sleep(0.01)
    other.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    other.communicate(timeout=60)
    assert partial.exists()
    assert not (tmp_path / "mlflow.db").exists()
    connect(tmp_path)
    assert sqlite3.connect(tmp_path / "mlflow.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not partial.exists()


def test_locked_database_is_named_after_a_bounded_wait(outputs: Path) -> None:
    """While another program holds the database the message names it; afterwards the same call works."""
    connect(outputs)
    holder = sqlite3.connect(outputs / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(tracking.TrackingError, match=r"mlflow\.db is in use by another program"):
        connect(outputs, wait_seconds=0.2)
    holder.execute("ROLLBACK")
    assert connect(outputs)


def test_metrics_wait_for_a_locked_database(outputs: Path) -> None:
    """A metric that is logged while another program holds the database for a moment is not lost."""
    with tracking.new_run(connect(outputs), "", {}) as run:
        holder = sqlite3.connect(outputs / "mlflow.db", isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(1, holder.execute, ["ROLLBACK"])
        release.start()
        mlflow.log_metrics({"cv_roc_auc": 0.85})
        release.join()
    assert mlflow.get_run(run.info.run_id).data.metrics == {"cv_roc_auc": 0.85}


def test_run_that_raises_is_failed(outputs: Path) -> None:
    """An exception inside the block ends the run as FAILED and reaches the caller; without one it is FINISHED."""
    experiment = connect(outputs)
    with pytest.raises(ZeroDivisionError), tracking.new_run(experiment, "bad", {"churn.run_id": "1"}) as bad:
        _ = 1 / 0
    with tracking.new_run(experiment, "", {}) as good:
        pass
    assert mlflow.get_run(bad.info.run_id).info.status == "FAILED"
    assert mlflow.get_run(bad.info.run_id).data.tags["churn.run_id"] == "1"
    assert mlflow.get_run(good.info.run_id).info.status == "FINISHED"


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_logged_model_predicts_its_example_again(outputs: Path, kind: str) -> None:
    """Through mlflow.sklearn, pyfunc and this project's loader the model answers as before it was saved."""
    train_and_register(outputs, kind)
    expected = fit(kind).predict_proba(EXAMPLE)
    address = "models:/churn@challenger"
    example = mlflow.models.Model.load(address).load_input_example(mlflow.artifacts.download_artifacts(address))
    assert mlflow.sklearn.load_model(address).predict_proba(EXAMPLE) == pytest.approx(expected)
    assert mlflow.pyfunc.load_model(address).predict(example) == pytest.approx(expected)
    assert load("champion").predict_proba(EXAMPLE) == pytest.approx(expected)


def test_logged_model_pins_what_scoring_needs(made: Path) -> None:
    """The requirements are the packages that scoring imports, each with the version of this environment."""
    (file,) = made.glob("mlartifacts/models/*/artifacts/requirements.txt")
    lines = file.read_text().splitlines()
    assert {line.split("==")[0] for line in lines} == {"mlflow", *tracking.NEEDED_FOR_SCORING}
    assert f"scikit-learn=={sys.modules['sklearn'].__version__}" in lines


def test_signature_names_each_feature_with_its_type(made: Path) -> None:
    """Numbers are doubles, categories strings."""
    connect(made)
    inputs = mlflow.models.Model.load("models:/churn@champion").signature.inputs
    assert [(column.name, column.type.name) for column in inputs] == [
        ("tenure", "double"),
        ("price", "double"),
        ("contract", "string"),
    ]


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_equal_models_give_equal_files(kind: str) -> None:
    """Two fits on the same customers give the same bytes, which load again; another fit gives others."""
    first, second = (tracking.canonical(skops.io.dumps(fit(kind))) for _ in range(2))
    other = fit(kind).fit(modelling.as_features(FEATURES, ["tenure", "price"], ["contract"]), CHURNED[::-1])
    assert first == second
    assert tracking.canonical(skops.io.dumps(other)) != first
    loaded = skops.io.loads(first, trusted=list(tracking.TRUSTED_TYPES))
    assert (loaded.predict_proba(EXAMPLE) == fit(kind).predict_proba(EXAMPLE)).all()


def test_changed_model_file_is_refused(outputs: Path) -> None:
    """A model file with another SHA-256 than the recorded one is not loaded; the message shows both."""
    train_and_register(outputs)
    (file,) = outputs.glob("mlartifacts/models/*/artifacts/model.skops")
    file.write_bytes(tracking.canonical(skops.io.dumps(fit("trees"))))
    with pytest.raises(tracking.TrackingError, match=r"its SHA-256 is \w{64}, recorded is \w{64}"):
        load("challenger")


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
        pytest.raises(tracking.TrackingError, match=r"Stranger.*add them to TRUSTED_TYPES"),
        tracking.new_run(connect(outputs), "", {}) as run,
    ):
        tracking.log_model(run, model, "strange", EXAMPLE)
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"


def test_champion_stays_when_a_challenger_comes(outputs: Path) -> None:
    """The first version is champion and challenger, the second challenger only."""
    for _ in range(2):
        train_and_register(outputs)
    aliases = mlflow.MlflowClient().get_registered_model("churn").aliases
    assert {alias: int(number) for alias, number in aliases.items()} == {"champion": 1, "challenger": 2}


def test_moved_project_keeps_its_models(outputs: Path) -> None:
    """After the folder was moved, models load from the new place and new artifacts go there."""
    train_and_register(outputs)
    moved = outputs.rename(outputs.with_name("moved"))
    train_and_register(moved)
    load("champion")
    assert not outputs.exists()
    assert len(list(moved.glob("mlartifacts/models/*"))) == 2


def test_datasets_are_logged_with_the_hash_of_their_pointer(outputs: Path) -> None:
    """Each DVC pointer becomes a tag and an input; a folder without pointers logs nothing."""
    (outputs / "features.dvc").write_text("outs:\n- md5: 00112233445566778899aabbccddeeff.dir\n  path: features\n")
    with tracking.new_run(connect(outputs), "", {}) as run:
        assert tracking.log_datasets(outputs / "nowhere") == {}
        assert tracking.log_datasets(outputs) == {"features": "00112233445566778899aabbccddeeff.dir"}
    logged = mlflow.get_run(run.info.run_id)
    assert logged.data.tags["dataset.features.md5"] == "00112233445566778899aabbccddeeff.dir"
    (used,) = logged.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("features", "00112233445566778899aabbccddeeff.dir")


LISTEN = """
import json, sys
seen = []
def hear(event, details):
    is_git = event == "subprocess.Popen" and "git" in str(details[0])
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") or is_git:
        seen.append([event, str(details)])
sys.addaudithook(hear)
sys.path.insert(0, sys.argv[3])
import pathlib, test_tracking
test_tracking.train_and_register(pathlib.Path(sys.argv[2]).parent)
print(json.dumps(seen))
"""


def test_nothing_is_sent_and_git_is_not_asked(tmp_path: Path) -> None:
    """From the import to the registered model, a process makes no connection and does not start git."""
    silencers = ("CI", "DO_NOT_TRACK", "GITHUB_ACTIONS", "MLFLOW_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST")
    environment = {name: value for name, value in os.environ.items() if name not in silencers}
    paths = os.pathsep.join(map(str, (ROOT / "notebooks", ROOT)))
    answer = subprocess.run(
        [sys.executable, "-c", LISTEN, "", str(tmp_path / "mlartifacts"), str(ROOT / "tests")],
        env=environment | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(answer.stdout.splitlines()[-1]) == []
