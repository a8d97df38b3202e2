"""The value of a secret variable is in nothing that a run leaves behind, however a
notebook uses it.
"""

from __future__ import annotations

import base64
import html
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import nbformat
import pytest

from helpers.projects import read_run, run_flow, write_notebook

pytestmark = pytest.mark.e2e

SECRET = "tök'n/&qz7kvw+9"
SPELLINGS = {
    "qz7kvw",  # in all spellings but base64
    SECRET,
    quote(SECRET),
    quote_plus(SECRET),
    html.escape(SECRET),
    json.dumps(SECRET)[1:-1],
    base64.b64encode(SECRET.encode()).decode().rstrip("="),
    base64.b64encode(f"reader:{SECRET}".encode()).decode().rstrip("="),
    base64.b32encode(SECRET.encode()).decode().rstrip("="),
    SECRET.encode().hex(),
    quote(quote(SECRET, safe=""), safe=""),
    "".join(f"&#{ord(one)};" for one in SECRET),
    "".join(rf"\u{ord(one):04x}" for one in SECRET),
    SECRET[:8],  # of one that is broken into two lines
}

# The secret comes from a file, as also a notebook that is not given the variable may know it.
USES = [
    "token = open('../token.txt', encoding='utf-8').read()",
    """
import base64, html, json, sys, warnings
from urllib.parse import quote_plus
from IPython.display import HTML, display
print(token[:7], end="", flush=True)
print(token[7:])
print("\\x1b[31m" + token[:3] + "\\x1b[32m" + token[3:] + "\\x1b[0m")
warnings.warn(f"{token} will expire")
print(quote_plus(token), repr(token), token.encode(), json.dumps({"token": token}), file=sys.stderr)
print({"Authorization": "Basic " + base64.b64encode(f"reader:{token}".encode()).decode()})
print(base64.b32encode(token.encode()), token.encode().hex(), quote_plus(quote_plus(token)))
coded = "".join(f"&#{ord(one)};" for one in token)
print(coded, "".join(f"\\\\u{ord(one):04x}" for one in token), sep=" ")
print(token[:8] + "\\n" + token[8:])
display(HTML(coded))
""",
    """
display(HTML(f"<table><tr><td title='{html.escape(token)}'>{html.escape(token)}</td></tr></table>"))
display({"application/json": {token: [token, {"of": token}]}, "text/plain": token}, raw=True)
pixel = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
display({"image/png": pixel}, metadata={"image/png": {"alt": f"plot of {token}"}}, raw=True)
token
""",
    """
from churn.modelling import tracking
experiment = tracking.connect("sqlite:///../outputs/mlflow.db", "../outputs/mlartifacts", "churn")
with tracking.new_run(experiment, "tiny", {}) as run:
    tracking.mlflow.log_params({"seed": 7})
summary = {"mlflow_run_id": run.info.run_id}
display({"text/plain": "", "application/vnd.churn.summary+json": summary}, raw=True)
""",
    f"""
class SourceRefused(Exception):
    "Is not tried again."
def ask(password):
    raise PermissionError(13, f"refused for {{password}}", f"https://reader:{{quote_plus(password)}}@crm.example/")
try:
    ask({SECRET!r})
except PermissionError as error:
    raise SourceRefused(f"no answer for {{token!r}}") from error
""",
]


@pytest.fixture
def secretive(tiny_project: Path) -> Path:
    """A project whose API has a secret token, with the datasets that model building reads."""
    params = tiny_project / "params.yaml"
    text = params.read_text(encoding="utf-8").replace(
        'bearer: "${SAMPLE_TOKEN}"', 'bearer: "${CRM_TOKEN}"'
    )
    params.write_text(
        text.replace("name: Sample", f"name: Sample {json.dumps(SECRET)[1:-1]}", 1),
        encoding="utf-8",
    )
    (tiny_project / "token.txt").write_text(SECRET, encoding="utf-8")
    (tiny_project / "data/features").mkdir(parents=True)
    (tiny_project / "data/features/table.txt").write_text("features")
    for name in ("raw", "validated", "prepared", "features"):
        (tiny_project / f"data/{name}.dvc").write_text("outs: []")
    return tiny_project


def replace_model_building(root: Path, cells: list[str]) -> None:
    """Give model building other cells, and the parameter by which the run finds MLflow."""
    path = root / "notebooks/06_model_building.ipynb"
    write_notebook(path, "Model building", cells)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[
        1
    ].source += '\ntracking_uri = "sqlite:///../outputs/mlflow.db"  # where MLflow is'
    nbformat.write(notebook, path)


def find_traces(root: Path, prefect_home: Path) -> Iterator[str]:
    """Name the files, and the lines of databases, in which the secret stands."""
    for archive in (root / "outputs/code").glob("*.zip"):
        shutil.unpack_archive(archive, archive.with_suffix(""))
    files = [
        file
        for folder in (root / "outputs", prefect_home)
        for file in folder.rglob("*")
        if file.is_file()
    ]
    for file in files:
        content = file.read_bytes()
        yield from (f"{file}: {spelling}" for spelling in SPELLINGS if spelling.encode() in content)
        # Where a page ends within a text, its bytes are torn apart.
        if content.startswith(b"SQLite format 3"):
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
                lines = [
                    line
                    for line in database.iterdump()
                    if any(spelling in line for spelling in SPELLINGS)
                ]
            yield from (f"{file}: {line[:200]}" for line in lines)


def test_a_failing_run_leaves_no_trace_of_a_secret(
    secretive: Path, prefect_api: dict[str, str]
) -> None:
    """Printed, shown, encoded, in a cell's source, in tracebacks: not in reports,
    record, logs, MLflow or Prefect.
    """
    replace_model_building(secretive, USES)
    ended = run_flow(secretive, "--only", "model_building", env=prefect_api | {"CRM_TOKEN": SECRET})
    assert ended.returncode == 1, ended.stderr
    assert [spelling for spelling in SPELLINGS if spelling in ended.stdout + ended.stderr] == []
    assert "no answer for" in ended.stderr, "it failed elsewhere"
    record = read_run(secretive)
    folder = secretive / "outputs/runs" / record.run_id
    page = (folder / "06_model_building.html").read_text(encoding="utf-8")
    assert page.count("***CRM_TOKEN***") > 12
    failed = record.stage("model_building").failed_cell
    assert failed is not None
    assert "***CRM_TOKEN***" in failed.source
    assert list((secretive / "outputs/mlartifacts").rglob("reports/06_model_building.html"))
    home = Path(prefect_api["PREFECT_HOME"])
    assert record.run_id.encode() in b"".join(
        file.read_bytes() for file in home.glob("prefect.db*")
    )
    assert list(find_traces(secretive, home)) == []


def test_a_secret_as_a_parameter_is_refused(secretive: Path, prefect_api: dict[str, str]) -> None:
    """Parameters are written into report, record and Prefect: nothing starts, and the
    message has no value.
    """
    write_notebook(secretive / "notebooks/01_ingestion.ipynb", "Ingestion", ["pass"])
    notebook = nbformat.read(secretive / "notebooks/01_ingestion.ipynb", as_version=4)
    notebook.cells[1].source = 'note = ""  # a text'
    nbformat.write(notebook, secretive / "notebooks/01_ingestion.ipynb")
    setting = f"ingestion.note={json.dumps('as ' + SECRET)}"
    environment = prefect_api | {"CRM_TOKEN": SECRET}
    ended = run_flow(secretive, "--only", "ingestion", "--set", setting, env=environment)
    assert ended.returncode == 2, ended.stderr
    assert "ingestion.note" in ended.stderr
    assert "CRM_TOKEN" in ended.stderr
    assert "qz7kvw" not in ended.stdout + ended.stderr
    assert not (secretive / "outputs/runs").exists()
    assert list(find_traces(secretive, Path(prefect_api["PREFECT_HOME"]))) == []


def test_only_stages_that_need_them_are_given_secrets(
    secretive: Path, prefect_api: dict[str, str]
) -> None:
    """The variable is there for ingestion, which reads the sources, and not for a stage
    that reads datasets.
    """
    show = "import os\ntold = 'CRM_TOKEN' in os.environ\nassert told is {}, told"
    inner = (
        "\nstart = open('/proc/self/environ', 'rb').read() if "
        "os.path.exists('/proc/self/environ') else b''"
    )
    hidden = show.format(False) + inner + "\nassert b'CRM_TOKEN' not in start"
    (secretive / "data/raw").mkdir()
    write_notebook(secretive / "notebooks/01_ingestion.ipynb", "Ingestion", [show.format(True)])
    write_notebook(secretive / "notebooks/02_validation.ipynb", "Validation", [hidden])
    for stage in ("ingestion", "validation"):
        ended = run_flow(secretive, "--only", stage, env=prefect_api | {"CRM_TOKEN": SECRET})
        assert ended.returncode == 0, ended.stderr[-2000:]
