"""The program behind `churn init`: what it writes, what it refuses, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from churn.params import ParameterError, load_params
from helpers import one_table
from helpers.drafts import draft_here, refuse
from helpers.people import people, write_csv


def test_without_a_label_the_place_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is written, lists the candidates, does not load before it is filled in,
    and the exit code is 1.
    """
    (path,) = one_table.bank(tmp_path, 500)
    for name, other in {"Exited": "Zustand", "IsActiveMember": "Vertreter"}.items():
        path.write_text(path.read_text().replace(name, other))
    out = tmp_path / "drafted.yaml"
    assert draft_here(tmp_path, out, path) == 1
    told = capsys.readouterr().out
    assert "No label was found" in told
    assert "Zustand (0 " in told
    assert "--label COLUMN=VALUE" in told
    written = out.read_text()
    assert "# TO DO: no column" in written
    with pytest.raises(ParameterError, match="label"):
        load_params(out)
    out.write_text(written.replace("\nlabel:\n", "\nlabel: {column: Zustand, positive: '1'}\n"))
    assert load_params(out).label is not None


def test_candidates_by_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing is clear enough to be taken, what is called like an answer is named
    first, whatever its values.
    """
    made = people(600)
    frame = pd.DataFrame(
        {
            "charge": made.price,
            "gender": made.choose("m", "f"),
            "churn_risk_score": made.whole(1, 6),
        }
    )
    frame["Cancellation Year"] = made.blank(made.whole(2013, 2019), 0.8)
    path = write_csv(frame, tmp_path / "members.csv")
    assert draft_here(tmp_path, tmp_path / "drafted.yaml", path) == 1
    _, _, candidates = capsys.readouterr().out.partition("Candidates")
    first, second, third = candidates.splitlines()[1:4]
    assert first.startswith("  - churn_risk_score (1 ")
    assert second.startswith("  - Cancellation Year (2013 ")
    assert second.endswith("% of the rows)")
    assert third.startswith("  - gender (")


def test_wishes_override_guesses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Label, id and day of the command line are taken as they are, in whatever case."""
    (path,) = one_table.bank(tmp_path, 500)
    out = tmp_path / "drafted.yaml"
    wishes = {"label": "isactivemember=0", "id": "RowNumber", "as_of": "2024-05-01"}
    assert draft_here(tmp_path, out, path, **wishes) == 0
    params = load_params(out)
    assert params.customer_id == "RowNumber"
    assert str(params.as_of) == "2024-05-01"
    assert params.label.model_dump() == {
        "column": "IsActiveMember",
        "positive": "0",
        "negative": None,
    }
    assert "as --as-of says" in capsys.readouterr().out


def test_wrong_wishes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column or value that does not exist is an error with the nearest name, and so
    is an id that names nobody.
    """
    (path,) = one_table.bank(tmp_path, 500)
    assert "did you mean 'Exited'?" in refuse(tmp_path, capsys, path, label="Exitd")
    assert "no value 'yes'" in refuse(tmp_path, capsys, path, label="Exited=yes")
    assert "say which one means `has churned`" in refuse(tmp_path, capsys, path, label="Card Type")
    assert "did you mean 'CustomerId'?" in refuse(tmp_path, capsys, path, id="CustomrId")
    assert "does not name a customer" in refuse(tmp_path, capsys, path, id="Age")
    (ended,) = one_table.subscriptions(tmp_path, 900)
    told = refuse(tmp_path, capsys, ended, as_of="2030-01-01")
    assert "--as-of 2030-01-01" in told
    assert "the data ends on" in told


def test_an_end_date_can_be_wished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--label` may name an end date, and `--as-of` the day before which it is not known."""
    (path,) = one_table.subscriptions(tmp_path, 1500)
    out = tmp_path / "drafted.yaml"
    wishes = {"label": "cancelled_on", "as_of": "2023-06-01"}
    assert draft_here(tmp_path, out, path, **wishes) == 0
    params = load_params(out)
    assert params.label.model_dump() == {
        "end_date": "cancelled_on",
        "begin_date": "signup_date",
        "horizon_days": 90,
    }
    assert str(params.as_of) == "2023-06-01"
    assert capsys.readouterr().err == ""


def test_a_failure_leaves_the_old_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--force` the old draft is replaced only by a whole new one."""
    out = tmp_path / "drafted.yaml"
    out.write_text("mine")
    assert draft_here(tmp_path, out, tmp_path / "nothing.csv", force=True) == 2
    assert out.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drafted.yaml"]
    assert "There is no file" in capsys.readouterr().err
