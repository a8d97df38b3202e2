"""Candidates that an analyst adds to the notebook 06_model_building, each in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import pytest
from sklearn.ensemble import RandomForestClassifier

from churn.modelling import registry, trust
from helpers.model_building import lay_out, run_cells, write_features
from helpers.modelled import make_customers

IMPORTS = """
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
"""
LINES = {
    "forest": 'Candidate("forest", codes, RandomForestClassifier(30, random_state=seed), '
    '{"min_samples_leaf": [5, 20]})',
    "extra": 'Candidate("extra", codes, ExtraTreesClassifier(30, random_state=seed))',
    "bayes": 'Candidate("bayes", lines, GaussianNB(), {"var_smoothing": [1e-9, 1e-3, 1e-1]})',
    "neighbours": 'Candidate("neighbours", lines, KNeighborsClassifier(), '
    '{"n_neighbors": [20, 50]})',
    "staged": 'Candidate("staged", codes, GradientBoostingClassifier(n_estimators=30, '
    'random_state=seed), {"max_depth": [1, 2]}, staged="n_estimators")',
    "lightgbm": 'Candidate("lightgbm", codes, LGBMClassifier(n_estimators=20, verbose=-1))',
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the notebook and a training set; the working directory is its
    notebooks folder.
    """
    lay_out(tmp_path)
    write_features(tmp_path / "data" / "features", make_customers())
    monkeypatch.chdir(tmp_path / "notebooks")
    matplotlib.use("agg")
    return tmp_path


def edit(*names: str, chosen: str = "") -> dict[str, tuple[str, str]]:
    """Return the edits that add candidates in front of the blend, and choose one."""
    added = "".join(f"{LINES[name]},\n    " for name in names)
    edits = {"imports": ("import seaborn as sns\n", f"import seaborn as sns\n{IMPORTS}")}
    edits["candidates"] = ('Candidate("blend"', f'{added}Candidate("blend"')
    if chosen:
        edits["choose"] = ('print(f"Chosen', f'chosen = {chosen!r}\nprint(f"Chosen')
    return edits


def test_new_candidates_compete_in_everything(project: Path) -> None:
    """Each is tuned in every fold, stands in the tables, plots and metrics of MLflow."""
    names = run_cells(edits=edit(*LINES))
    assert set(LINES) < set(names["contest"].names)
    assert set(names["scores"]["model"]) == set(names["contest"].names)
    assert set(names["settings_of_folds"]["staged.max_depth"]) <= {1, 2}
    assert names["settings_of_folds"]["staged.n_estimators"].between(1, 30).all()
    assert {f"{name}/cv_log_loss" for name in LINES} < set(names["measured"])
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("chosen", LINES)
def test_a_new_candidate_that_wins_is_registered_and_scores(project: Path, chosen: str) -> None:
    """Its learning curve, calibration, reasons and the gate are as of any other; its file is
    loaded again, and names what it needs.
    """
    names = run_cells(edits=edit(chosen, chosen=chosen))
    assert names["known"]["model"] == chosen
    assert names["growth"]["share"].nunique() == 3
    assert set(names["learned"]["features"]) == {"tenure", "price", "contract", "payment"}
    assert names["decision"].promoted
    loaded = registry.load_version(names["entry"].model)
    asked = names["test"].features
    assert (loaded.predict_proba(asked)[:, 1] == names["probability"]).all()
    (needed,) = project.glob("outputs/mlartifacts/models/*/artifacts/requirements.txt")
    assert ("lightgbm==" in needed.read_text()) == (chosen == "lightgbm")
    matplotlib.pyplot.close("all")


def test_model_whose_package_is_absent_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is to be loaded."""
    model = RandomForestClassifier(3).fit([[0], [1]], [0, 1])
    content = trust.skops.io.dumps(model)
    trust._is_trusted.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.tree._tree", None)
    with pytest.raises(trust.ModelFileError, match="scikit-learn"):
        trust.load(content)
    trust._is_trusted.cache_clear()
