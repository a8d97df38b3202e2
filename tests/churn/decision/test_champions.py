"""The champion: how it is changed by hand and back, what is kept of it, and how a
challenger meets it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from churn.decision import champions, profit
from churn.decision.promotion_gate import UntouchedCustomers
from churn.modelling import encoders, model_names, registry, tracking
from churn.modelling.tracking import TrackingError, mlflow
from churn.params import Promotion
from helpers.modelled import make_customers
from helpers.projects import ROOT
from helpers.registered_models import connect

NUMBERS, CATEGORIES = ["tenure", "price"], ["contract", "payment"]
SPLIT = {"how": "customers", "salt": "s", "test_share": 0.5, "test_from": None}
RULES = Promotion(samples=100)


@dataclasses.dataclass(frozen=True)
class Company:
    """A company's database, and what its model building knows."""

    folder: Path
    train: pd.DataFrame
    test: pd.DataFrame

    def fit(self, frame: pd.DataFrame, numbers: list[str], categories: list[str]) -> Any:
        """Fit a model to some features."""
        columns = encoders.sort_columns(frame, numbers, categories, most=30)
        encoder = encoders.encode_for_linear(columns, knots=5, rare=5, seed=0)
        features = encoders.as_features(frame, numbers, categories)
        return make_pipeline(encoder, LogisticRegression(solver="newton-cholesky")).fit(
            features, frame["churned"]
        )

    def register(
        self,
        numbers: list[str],
        categories: list[str],
        run_id: str = "",
        rows: int = 2000,
        *,
        name: str = "churn",
        data_set: str = "Company",
        run_tags: dict[str, str] | None = None,
    ) -> tuple[Any, Any, Any]:
        """Train on some features and register; return the version, the model and its facts.
        With `run_tags`, as version 0.1.0 did: only they say of which data set the model is.
        """
        model = self.fit(self.train.head(rows), numbers, categories)
        kinds = dict.fromkeys(numbers, "number") | dict.fromkeys(categories, "category")
        known = {"data_set": data_set, "split": SPLIT, "importance": {"tenure": 0.1}}
        known |= {"features": {name: {"type": kind} for name, kind in kinds.items()}}
        tracking.connect(
            f"sqlite:///{(self.folder / 'mlflow.db').as_posix()}",
            self.folder / "artifacts",
            "churn",
        )
        with tracking.new_run(
            mlflow.get_experiment_by_name("churn").experiment_id, run_id, run_tags or {}
        ) as run:
            example = encoders.as_features(self.train.head(3), numbers, categories)
            logged = registry.log_model(run, model, "linear", example, known)
            tags = {} if run_tags else {model_names.TAG: data_set}
            version = registry.register(logged, name, {"churn.run_id": run_id} | tags)
        return version, model, known

    def challenge(
        self, version: Any, model: Any, known: dict[str, Any], **changes: Any
    ) -> champions.Decision:
        """Let a version meet the champion."""
        kinds = {
            kind: [n for n, about in known["features"].items() if about["type"] == kind]
            for kind in _KINDS
        }
        features = encoders.as_features(self.test, kinds["number"], kinds["category"])
        count, money = len(features), profit.Money()
        cuts = self.test[["payment"]].reset_index(drop=True)
        customers = UntouchedCustomers(
            self.test["churned"].to_numpy(), np.arange(count), np.full(count, 200.0), cuts, money
        )
        probability = model.predict_proba(features)[:, 1]
        challenger = champions.Challenger(
            model,
            probability,
            features,
            customers,
            np.full(count, 0.1),
            None,
            known,
            is_named=True,
        )
        challenger = dataclasses.replace(challenger, **changes)
        return champions.challenge(as_entry(version), challenger, RULES)


_KINDS = ("number", "category")


def as_entry(version: Any) -> registry.Recorded:
    """A version as the notebook knows it."""
    origin = registry.Origin(version.tags["churn.run_id"], "", "Company", "real")
    return registry.Recorded(version.name, version, version.run_id, {}, origin)


@pytest.fixture
def company(tmp_path: Path, empty_database: Path) -> Company:
    """A company without a model."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    frame = make_customers(4000)
    return Company(tmp_path, frame.iloc[:2000], frame.iloc[2000:])


def find_number() -> str:
    """Return the number of the champion's version."""
    found = champions.find_champion("churn")
    assert found is not None
    return str(found.version)


def test_first_model_then_a_worse_one_then_a_better_one(company: Company) -> None:
    """The first is the champion; a worse challenger leaves it there, and a clearly
    better one takes its place.
    """
    first = company.register(["price"], ["contract"])
    decision = company.challenge(*first)
    assert (decision.promoted, decision.sentence) == (True, "first model")
    champions.carry_out(decision, as_entry(first[0]), first[2], str(company.folder / "accepted"))
    assert champions.read_history("churn")[0]["reason"] == "first model"

    worse = company.register(["price"], ["contract"], rows=100)
    decision = company.challenge(*worse)
    assert not decision.promoted
    assert decision.sentence.startswith("kept champion 1: log loss 0.")
    champions.carry_out(decision, as_entry(worse[0]), worse[2], str(company.folder / "accepted"))
    assert find_number() == "1"

    better = company.register(NUMBERS, CATEGORIES)
    decision = company.challenge(*better)
    assert decision.sentence.startswith("promoted over 1: log loss 0.")
    champions.carry_out(decision, as_entry(better[0]), better[2], str(company.folder / "accepted"))
    assert find_number() == "3"
    tags = mlflow.MlflowClient().get_model_version("churn", "3").tags
    assert tags["promotion"] == decision.sentence == tags["champion.reason"]
    written = json.loads(
        (company.folder / "accepted" / "company" / "importance.json").read_text(encoding="utf-8")
    )
    assert written == {"tenure": 0.1}
    run = mlflow.MlflowClient().get_model_version("churn", "3").run_id
    evidence = json.loads(mlflow.artifacts.load_text(f"runs:/{run}/promotion.json"))
    assert evidence["evidence"]["log_loss"]["passed"] is True


@pytest.fixture
def rivals(company: Company) -> tuple[Company, Any]:
    """A company with a champion, and its challenger."""
    company.register(["price"], ["contract"])
    return company, company.register(NUMBERS, CATEGORIES)


def kept(rivals: tuple[Company, Any], **changes: Any) -> str:
    """Return why the champion is kept."""
    company, (version, model, facts) = rivals
    decision = company.challenge(version, model, facts, **changes)
    assert not decision.promoted
    assert decision.sentence.startswith("kept champion 1: ")
    assert "`churn promote 2`" in decision.sentence
    return decision.sentence


def test_a_champion_whose_file_is_gone_or_altered_is_kept_and_told(
    rivals: tuple[Company, Any],
) -> None:
    """Nothing can be compared: somebody has to look."""
    (file,) = (path for path in rivals[0].folder.rglob("model.skops") if _belongs(path, "1"))
    file.write_bytes(b"other")
    assert "it cannot be loaded" in kept(rivals)
    shutil.rmtree(file.parent)
    assert "it cannot be loaded" in kept(rivals)


def _belongs(file: Path, version: str) -> bool:
    tags = mlflow.MlflowClient().get_model_version("churn", version).tags
    return hashlib.sha256(file.read_bytes()).hexdigest() == tags["model_sha256"]


def test_other_features_or_another_split_keep_the_champion(rivals: tuple[Company, Any]) -> None:
    """The sentence says which, and what to do."""
    facts = rivals[1][2]
    fewer = {name: about for name, about in facts["features"].items() if name != "price"}
    told = kept(rivals, facts=facts | {"features": fewer})
    assert re.search(r"\b1 features\b.*\bgone\b.*\bprice\b", told)
    typed = facts["features"] | {"price": {"type": "category"}}
    told = kept(rivals, facts=facts | {"features": typed})
    assert re.search(r"\bprice\b.*\bnumber\b.*\bcategory\b", told)
    assert "other features" in kept(rivals, is_named=False)
    assert "another salt" in kept(rivals, facts=facts | {"split": SPLIT | {"salt": "x"}})


def test_each_data_set_has_a_champion_that_is_changed_alone(company: Company) -> None:
    """By its number or run; one of another data set is refused, and named."""
    connect(company.folder)
    for data_set, run in (("Company", "a-1"), ("Bank", "b-1"), ("Bank", "b-2")):
        name = model_names.claim("churn", data_set)
        company.register(["price"], ["contract"], run, name=name, data_set=data_set)
    told = champions.promote("churn-bank", "b-2", reason="", by="ann")
    assert re.search(r"churn-bank 2 .*'Bank'.*\b1\.$", told)
    assert find_number() == "1"
    with pytest.raises(TrackingError, match=r"churn-bank 2 is of the data set 'Bank'.*--params"):
        champions.promote("churn", "b-2", reason="", by="ann")
    assert champions.roll_back("churn-bank", reason="", by="ann").startswith("churn-bank 1 ")
    listed = [
        (one["data_set"], one["registered_model"], one["version"], one["aliases"])
        for one in champions.list_models("churn")
    ]
    assert listed == [
        ("Bank", "churn-bank", 2, ["challenger"]),
        ("Bank", "churn-bank", 1, ["champion"]),
        ("Company", "churn", 1, ["challenger", "champion"]),
    ]
    assert len(champions.list_models("churn", "Company")) == 1
    with pytest.raises(TrackingError, match="'Mine'"):
        champions.list_models("churn", "Mine")


def test_no_model_of_another_data_set_becomes_the_champion(company: Company) -> None:
    """Version 0.1.0 kept all under one name, where a model of real customers took the place of
    one of made ones: neither by hand nor by a rollback does that come back.
    """
    company.register(["price"], ["contract"], "a-1", run_tags={"dataset": "Sample"})
    for run in ("b-1", "b-2"):
        company.register(["price"], ["contract"], run, run_tags={"dataset": "Company"})
    champions.make_champion("churn", "2", reason="", by="the run", how=champions.GATE)
    champions.make_champion("churn", "3", reason="", by="the run", how=champions.GATE)
    with pytest.raises(TrackingError, match=r"churn 1 is of the data set 'Sample'"):
        champions.promote("churn", "1", reason="", by="ann")
    assert champions.roll_back("churn", reason="", by="ann").startswith("churn 2 ")
    with pytest.raises(TrackingError, match="nothing to go back to"):
        champions.roll_back("churn", reason="", by="ann")
    assert {one["version"]: one["data_set"] for one in champions.list_models("churn")} == {
        3: "Company",
        2: "Company",
        1: "Sample",
    }


def test_by_hand_and_back_with_reasons(company: Company) -> None:
    """A version or a run is promoted; each rollback goes one further back; the history
    says who, when and why.
    """
    for run in ("a-1", "b-1", "c-1"):
        company.register(["price"], ["contract"], run)
    assert find_number() == "1"
    told = champions.promote("churn", "b-1", reason="known better", by="ann")
    assert re.findall(r"\d+", told) == ["2", "1"]
    champions.promote(
        "churn", "3", reason="try", by="ann", accepted_dir=str(company.folder / "accepted")
    )
    assert (company.folder / "accepted" / "company" / "importance.json").is_file()
    told = champions.promote("churn", "3", reason="again", by="ann")
    assert told.startswith("churn 3 ")
    assert "already" in told
    for reason, back, left in (("bad", "2", "3"), ("worse", "1", "2")):
        told = champions.roll_back("churn", reason=reason, by="bob")
        assert re.findall(r"\d+", told) == [back, left]
    with pytest.raises(TrackingError, match="nothing to go back to"):
        champions.roll_back("churn", reason="", by="bob")
    entries = champions.read_history("churn")
    assert [(one["version"], one["before"], one["by"], one["how"]) for one in entries] == [
        ("2", "1", "ann", "by hand"),
        ("3", "2", "ann", "by hand"),
        ("2", "3", "bob", "rollback"),
        ("1", "2", "bob", "rollback"),
    ]
    assert all(one["at"].endswith("+00:00") for one in entries)
    listed = champions.list_versions("churn")
    assert [(one["version"], one["aliases"]) for one in listed] == [
        (3, ["challenger"]),
        (2, []),
        (1, ["champion"]),
    ]


def test_what_cannot_be_promoted_is_refused(company: Company) -> None:
    """An unknown version, a model that is not there, an altered file."""
    tracking.connect(
        f"sqlite:///{(company.folder / 'mlflow.db').as_posix()}",
        company.folder / "artifacts",
        "churn",
    )
    with pytest.raises(TrackingError, match=r"no registered model 'churn'.*run the pipeline"):
        champions.promote("churn", "1", reason="", by="")
    company.register(["price"], ["contract"], "a-1")
    company.register(["price"], ["payment"], "b-1")
    with pytest.raises(TrackingError, match=r"'7'.*\b2 \(run b-1\), 1 \(run a-1\)"):
        champions.promote("churn", "7", reason="", by="")
    (file,) = (path for path in company.folder.rglob("model.skops") if _belongs(path, "2"))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(TrackingError, match=r"not what was registered.*\bchurn/2\b"):
        champions.promote("churn", "2", reason="", by="")
    assert find_number() == "1"


def test_the_command_behind_churn_promote_answers_in_its_own_process(company: Company) -> None:
    """Its answer is one line, or JSON; an expected error has no traceback, and exit code 2."""
    company.register(["price"], ["contract"], "a-1")
    places = [f"--tracking-uri=sqlite:///{(company.folder / 'mlflow.db').as_posix()}"]
    places += [
        f"--artifact-dir={company.folder / 'artifacts'}",
        "--experiment=churn",
        "--registered-model=churn",
    ]

    def ask(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "churn.decision.champions", *options, *places]
        return subprocess.run(
            command,
            cwd=ROOT / "notebooks",
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )

    assert json.loads(ask("models").stdout)[0]["run"] == "a-1"
    refused = ask("rollback")
    assert (refused.returncode, refused.stdout) == (2, "")
    (told,) = refused.stderr.strip().splitlines()
    assert "nothing to go back to" in told
