"""What the candidates are worth beside plain models, by nested, grouped cross-validation with the
same features and folds.

    python benchmarks/accuracy.py WHAT... [--repeats 1] [--draws 30]

WHAT is a params file, or a folder of data files for which `churn init` drafts one; a params
file may need CHURN_DATA. Of each the pipeline itself runs through to the features, in an empty
copy; then each candidate of `06_model_building.ipynb` is tuned and fitted anew on each training
part, by the notebook's own cells, with all customers as training customers, and measured on the
rest. (The notebook keeps a test set apart.) The models beside them get the same features:

- scikit-learn's and LightGBM's gradient boosting as they come,
- LightGBM with the best of so many random draws of its settings, the number of trees by early
  stopping on a fifth of the training part's groups,
- a logistic regression on standardized numbers and one column a category.

Printed are the means over the folds, the seconds of CPU a fold, and how the candidate that the
notebook chooses compares with the best of the models beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import nbformat
import numpy as np
import pandas as pd
from copies import project_copy
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NOTEBOOK = "06_model_building.ipynb"
SHOWN = ["roc_auc", "average_precision", "log_loss", "cpu"]
REPEATABLE = {
    "deterministic": True,
    "force_col_wise": True,
    "n_jobs": 1,
    "verbose": -1,
    "random_state": 0,
}


def main() -> None:
    """Compare on each data set and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--draws", type=int, default=30)
    options = parser.parse_args()
    for what in options.what:
        with project_copy() as (root, variables):
            params = make_features(what.resolve(), root, variables)
            names = cross_validate(root, params, options.repeats)
        others = pd.DataFrame(measure_others(names, options.draws))
        print(
            f"\n{what}: {len(names['train']):,} rows, {names['train'].features.shape[1]} features"
        )
        print(compare(names, others), flush=True)


def make_features(what: Path, root: Path, variables: dict[str, str]) -> Path:
    """Run the pipeline through to the features in a copy; return the params file."""

    def run(*command: str | Path) -> None:
        subprocess.run([sys.executable, *map(str, command)], cwd=root, env=variables, check=True)

    params = what
    if what.is_dir():
        params = root / "drafted.yaml"
        run("-m", "orchestrator", "init", *sorted(what.iterdir()), "--out", params)
    run("orchestrator/flow.py", "--quiet", "--until", "transformation", "--params", params)
    return params


def cross_validate(root: Path, params: Path, repeats: int) -> dict[str, Any]:
    """Execute the notebook's own cells, with all customers as training customers; return
    what they have defined, and `cpu`, the seconds of a fold.
    """
    sys.path.insert(0, str(root))
    notebook = nbformat.read(root / "notebooks" / NOTEBOOK, as_version=4)
    cells = {cell.id: cell.source for cell in notebook.cells}
    names: dict[str, Any] = {}
    with contextlib.chdir(root / "notebooks"), contextlib.redirect_stdout(io.StringIO()):
        for cell in ("imports", "parameters"):
            exec(cells[cell], names)
        names |= {"params_file": str(params), "cv_repeats": repeats}
        for cell in ("load-training-set", "check-training-set", "place-customers", "hold-out-test"):
            exec(cells[cell], names)
        names["train"] = names["everyone"]
        for cell in ("encoders", "candidates"):
            exec(cells[cell], names)
        start = cpu_seconds()
        exec(cells["cross-validate"], names)
        names["cpu"] = (cpu_seconds() - start) / len(names["plan"])
        for cell in ("compare-losses", "choose"):
            exec(cells[cell], names | {"require_signal": False}, names)
    return names


def cpu_seconds() -> float:
    """Return the seconds of CPU that this process and those that it waited for have used."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure_others(names: dict[str, Any], draws: int) -> Iterator[dict[str, Any]]:
    """Yield the metrics of each model that is compared, on each fold."""
    train = names["train"]
    mixed = train.features.astype(dict.fromkeys(names["categories"], "category"))
    plain_line = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), names["numbers"]),
            (
                OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10),
                names["categories"],
            ),
        ),
        LogisticRegression(max_iter=5000),
    )
    models = {
        "logistic regression": (train.features, plain_line),
        "HistGradientBoosting": (mixed, HistGradientBoostingClassifier(random_state=0)),
        "LightGBM": (mixed, lightgbm.LGBMClassifier(**REPEATABLE)),
        "LightGBM, tuned": (mixed, None),
    }
    from churn.modelling.metrics import measure

    for fitted_on, asked in names["plan"]:
        for name, (features, model) in models.items():
            start = cpu_seconds()
            rows = features.iloc[fitted_on]
            fitted = model or draw_settings(rows, train.take(fitted_on), draws)
            fitted.fit(rows, train.churned[fitted_on])
            probability = fitted.predict_proba(features.iloc[asked])[:, 1]
            spent = cpu_seconds() - start
            yield {"model": name, "cpu": spent} | measure(train.churned[asked], probability)


def draw_settings(features: pd.DataFrame, train: Any, draws: int) -> lightgbm.LGBMClassifier:
    """Return LightGBM, unfitted, with the best of random settings."""
    from churn.modelling.splitting import make_folds

    fitted_on, asked = make_folds(train.churned, train.groups, folds=5, repeats=1, seed=1)[0]
    random, best, lowest = np.random.default_rng(0), {}, np.inf
    for _ in range(draws):
        settings = {
            "num_leaves": int(2 ** random.uniform(2, 6)),
            "learning_rate": float(np.exp(random.uniform(np.log(0.02), np.log(0.1)))),
            "min_child_samples": int(np.exp(random.uniform(np.log(5), np.log(100)))),
            "subsample": float(random.uniform(0.5, 1)),
            "subsample_freq": 1,
            "colsample_bytree": float(random.uniform(0.4, 1)),
            "reg_lambda": float(np.exp(random.uniform(np.log(0.01), np.log(30)))),
        }
        model = lightgbm.LGBMClassifier(n_estimators=2000, **settings, **REPEATABLE)
        model.fit(
            features.iloc[fitted_on],
            train.churned[fitted_on],
            eval_X=features.iloc[asked],
            eval_y=train.churned[asked],
            eval_metric="binary_logloss",
            callbacks=[lightgbm.early_stopping(50, verbose=False)],
        )
        loss = model.best_score_["valid_0"]["binary_logloss"]
        if loss < lowest:
            lowest, best = loss, settings | {"n_estimators": int(model.best_iteration_ * 1.1) + 1}
    return lightgbm.LGBMClassifier(**best, **REPEATABLE)


def compare(names: dict[str, Any], others: pd.DataFrame) -> str:
    """Return the means of all models as a table, and how the chosen one compares."""
    beside = others.groupby("model", sort=False)[SHOWN].mean()
    ours = names["scores"].groupby("model", sort=False)[SHOWN[:-1]].mean()
    chosen = ours.loc[names["chosen"]]
    told = (
        f"chosen: {names['chosen']}; log loss {chosen['log_loss'] / beside['log_loss'].min():.3f} "
        f"times the lowest beside it, ROC AUC {chosen['roc_auc'] - beside['roc_auc'].max():+.4f}; "
        f"all candidates take {names['cpu']:.1f} s of CPU a fold, "
        f"{names['cpu'] / beside['cpu']['LightGBM, tuned']:.1f} times the tuned LightGBM's"
    )
    return f"{pd.concat([ours, beside]).round(4).to_string(na_rep='')}\n{told}"


if __name__ == "__main__":
    main()
