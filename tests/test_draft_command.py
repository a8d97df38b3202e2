"""The command `churn init`: what it writes and where, what it refuses, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import shapes
from conftest import ROOT
from drafts import refuse

from draft.__main__ import main
from orchestrator.paths import Project
from orchestrator.preflight import examine
from params import ParameterError, load_params


def init(root: Path, *options: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `churn init` of a copy of the project, from a folder."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "init", *options],
        cwd=folder or root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def test_a_file_of_the_project_is_named_from_its_root(project_copy: Path) -> None:
    """The draft stands in the working directory under the file's name, and a run would start with it."""
    (project_copy / "data" / "external").mkdir(parents=True)
    shapes.bank(project_copy / "data" / "external", 600)
    ended = init(project_copy, "data/external/Bank Churn Records.csv")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "python orchestrator/flow.py --params 'Bank Churn Records.yaml'" in ended.stdout
    params = load_params(project_copy / "Bank Churn Records.yaml")
    assert [source.file for source in params.sources.values()] == ["data/external/Bank Churn Records.csv"]  # type: ignore[union-attr]
    assert examine(Project(project_copy), project_copy / "Bank Churn Records.yaml", {}).problems == []
    again = init(project_copy, "data/external/Bank Churn Records.csv")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert "--force" in again.stderr


def test_files_elsewhere_are_named_by_their_absolute_path(project_copy: Path, tmp_path: Path) -> None:
    """From another folder, with a relative path and another name for the draft."""
    (tmp_path / "elsewhere").mkdir()
    shapes.kaggle(tmp_path / "elsewhere", 900)
    ended = init(project_copy, "train.csv", "--out", "mine.yaml", folder=tmp_path / "elsewhere")
    assert ended.returncode == 0, ended.stderr
    params = load_params(tmp_path / "elsewhere" / "mine.yaml")
    assert [source.file for source in params.sources.values()] == [(tmp_path / "elsewhere" / "train.csv").as_posix()]  # type: ignore[union-attr]
    assert str(project_copy / "orchestrator" / "flow.py") in ended.stdout


def test_a_database_without_its_password_is_told_of(project_copy: Path, tmp_path: Path) -> None:
    """What keeps a run from starting is told; a server that does not answer is an error without the password."""
    ended = init(project_copy, "postgresql://crm:pa55word@127.0.0.1:1/sales")
    assert ended.returncode == 2
    assert "does not answer" in ended.stderr
    assert "pa55word" not in ended.stderr + ended.stdout
    assert not (project_copy / "sales.yaml").exists()


def test_it_stands_first_in_the_help(project_copy: Path) -> None:
    """A newcomer sees it before the other commands."""
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator", "--help"],
        cwd=project_copy,
        env=os.environ | {"PYTHONPATH": str(project_copy), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.index(" init ") < ended.stdout.index(" run ")


def test_the_orchestrator_draws_no_data_package_in() -> None:
    """The command's process imports neither pandas nor the draft."""
    code = "import sys, orchestrator.cli; print(sorted({'pandas', 'draft', 'pyarrow'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_without_a_label_the_place_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is written, lists the candidates, does not load before it is filled in, and the exit code is 1."""
    (path,) = shapes.bank(tmp_path, 500)
    for name, other in {"Exited": "Zustand", "IsActiveMember": "Vertreter"}.items():
        path.write_text(path.read_text().replace(name, other))
    out = tmp_path / "drafted.yaml"
    assert main([f"--out={out}", f"--folder={tmp_path}", "--", str(path)]) == 1
    told = capsys.readouterr().out
    assert "No label was found" in told
    assert "Zustand (0 " in told
    assert "--label COLUMN=VALUE" in told
    written = out.read_text()
    assert "# TO DO: no column was recognised as the answer" in written
    with pytest.raises(ParameterError, match="label"):
        load_params(out)
    out.write_text(written.replace("\nlabel:\n", "\nlabel: {column: Zustand, positive: '1'}\n"))
    assert load_params(out).label is not None


def test_candidates_by_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing is clear enough to be taken, what is called like an answer is named first, whatever its values."""
    made = shapes.people(600)
    frame = pd.DataFrame({"charge": made.price, "gender": made.choose("m", "f"), "churn_risk_score": made.whole(1, 6)})
    frame["Cancellation Year"] = made.blank(made.whole(2013, 2019), 0.8)
    path = shapes.write_csv(frame, tmp_path / "members.csv")
    assert main([f"--out={tmp_path / 'drafted.yaml'}", f"--folder={tmp_path}", "--", str(path)]) == 1
    _, _, candidates = capsys.readouterr().out.partition("Candidates")
    first, second, third = candidates.splitlines()[1:4]
    assert first.startswith("  - churn_risk_score (1 ")
    assert second.startswith("  - Cancellation Year (2013 ")
    assert second.endswith("% of the rows)")
    assert third.startswith("  - gender (")


def test_wishes_override_guesses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Label, id and day of the command line are taken as they are, in whatever case."""
    (path,) = shapes.bank(tmp_path, 500)
    out = tmp_path / "drafted.yaml"
    wishes = ["--label=isactivemember=0", "--id=RowNumber", "--as-of=2024-05-01"]
    assert main([f"--out={out}", f"--folder={tmp_path}", *wishes, "--", str(path)]) == 0
    params = load_params(out)
    assert params.customer_id == "RowNumber"
    assert str(params.as_of) == "2024-05-01"
    assert params.label.model_dump() == {"column": "IsActiveMember", "positive": "0", "negative": None}
    assert "as --as-of says" in capsys.readouterr().out


def test_wrong_wishes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column or value that does not exist is an error with the nearest name, and so is an id that names nobody."""
    (path,) = shapes.bank(tmp_path, 500)
    assert "did you mean 'Exited'?" in refuse(tmp_path, capsys, path, label="Exitd")
    assert "no value 'yes'" in refuse(tmp_path, capsys, path, label="Exited=yes")
    assert "say which one means `has churned`" in refuse(tmp_path, capsys, path, label="Card Type")
    assert "did you mean 'CustomerId'?" in refuse(tmp_path, capsys, path, id="CustomrId")
    assert "does not name a customer" in refuse(tmp_path, capsys, path, id="Age")
    (ended,) = shapes.subscriptions(tmp_path, 900)
    assert "nothing is known of the days after it" in refuse(tmp_path, capsys, ended, as_of="2030-01-01")


def test_an_end_date_can_be_wished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--label` may name an end date, and `--as-of` the day before which it is not known."""
    (path,) = shapes.subscriptions(tmp_path, 1500)
    out = tmp_path / "drafted.yaml"
    wishes = ["--label=cancelled_on", "--as-of=2023-06-01"]
    assert main([f"--out={out}", f"--folder={tmp_path}", *wishes, "--", str(path)]) == 0
    params = load_params(out)
    assert params.label.model_dump() == {"end_date": "cancelled_on", "begin_date": "signup_date", "horizon_days": 90}
    assert str(params.as_of) == "2023-06-01"
    assert capsys.readouterr().err == ""


def test_a_failure_leaves_the_old_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--force` the old draft is replaced only by a whole new one."""
    out = tmp_path / "drafted.yaml"
    out.write_text("mine")
    assert main([f"--out={out}", f"--folder={tmp_path}", "--force", "--", str(tmp_path / "nothing.csv")]) == 2
    assert out.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drafted.yaml"]
    assert "There is no file" in capsys.readouterr().err
