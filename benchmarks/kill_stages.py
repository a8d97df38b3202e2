"""Six notebooks that take a second each and write what the real ones write, by the same
functions: datasets, their versions in DVC, and a registered model in MLflow.
"""

from __future__ import annotations

from pathlib import Path

from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

_INGESTION = """\
import random
import time

from churn.datasets import new_dataset

rows = random.Random(seed)
with new_dataset("../data/raw") as folder:
    for number in range(8):
        (folder / f"{number}.txt").write_text("\\n".join(map(str, rows.sample(range(10**6), 5000))))
        time.sleep(0.05)
"""
_NEXT = """\
import time
from pathlib import Path

from churn.datasets import new_dataset

with new_dataset("../data/{written}") as folder:
    for file in sorted(Path("../data/{read}").iterdir()):
        (folder / file.name).write_text("{written}\\n" + file.read_text())
        time.sleep(0.05)
"""
_VERSIONING = """\
from pathlib import Path

from churn import versions

folders = {name: Path("../data", name) for name in datasets}
recorded = versions.record_datasets(Path("..").resolve(), folders)
"""
_MODEL_BUILDING = """\
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LogisticRegression

from churn.modelling import registry, tracking
from churn.stage import Stage

numbers = Path("../data/features/0.txt").read_text().split()[3:43]
names = pd.Index(["number"], dtype=object)  # MLflow cannot compare texts of Arrow's
features = pd.DataFrame([[int(number) / 10**6] for number in numbers], columns=names)
model = LogisticRegression().fit(features, [0, 1] * 20)
entry = registry.record(
    model,
    {"model": "logistic_regression"},
    tracking.Evidence({"customers": 40}, {"test_roc_auc": 0.5}, {}, {"features": features}),
    example=features.head(5),
    store=registry.Store(tracking_uri, "../outputs/mlartifacts", "churn", "churn"),
    origin=registry.Origin(run_id, "", "made", "synthetic"),
    pointers_dir="../data",
)
Stage(params_file).summarize(
    mlflow_run_id=entry.mlflow_run_id,
    registered_model=entry.model.name,
    model_version=int(entry.model.version),
    model_sha256=entry.model.tags["model_sha256"],
)
"""
_MODEL_PARAMETERS = """\
params_file = "../params.yaml"  # facts of the data set
tracking_uri = "sqlite:///../outputs/mlflow.db"  # MLflow's database
run_id = ""  # id of the flow's run
"""
DATASETS = ("raw", "validated", "prepared", "features")
_READ = '{0}_dir = "../data/{0}"  # dataset to read\n'
_WRITTEN = '{0}_dir = "../data/{0}"  # dataset to write\n'


def _next(read: str, written: str) -> tuple[str, str]:
    parameters = _READ.format(read) + _WRITTEN.format(written)
    return parameters, _NEXT.format(read=read, written=written)


_STAGES = {
    "01_ingestion": ("seed = 1  # of the data\n" + _WRITTEN.format("raw"), _INGESTION),
    "02_validation": _next("raw", "validated"),
    "03_preparation": _next("validated", "prepared"),
    "04_transformation": _next("prepared", "features"),
    "05_versioning": (f"datasets = {list(DATASETS)}  # datasets to record", _VERSIONING),
    "06_model_building": (_MODEL_PARAMETERS + _READ.format("features"), _MODEL_BUILDING),
}


def write_stages(root: Path) -> None:
    """Put these notebooks in place of a copy's own; its params file has no stages then."""
    for name, (parameters, code) in _STAGES.items():
        cells = [
            new_markdown_cell(f"# {name}"),
            new_code_cell(parameters, metadata={"tags": ["parameters"]}),
            *(new_code_cell(cell) for cell in code.split("\n\n") if cell),
        ]
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        write(
            new_notebook(cells=cells, metadata={"kernelspec": kernel}),
            root / f"notebooks/{name}.ipynb",
        )
    params = root / "params.yaml"
    facts = params.read_text(encoding="utf-8").partition("\nstages:")[0]
    params.write_text(f"{facts}\nstages:\n  ingestion:\n    seed: 1\n", encoding="utf-8")
