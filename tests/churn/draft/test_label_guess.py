"""Which column is the answer and which of its values means that a customer has left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn.draft.column_types import look_at
from churn.draft.label_guess import Answer, find_answers
from churn.draft.table_reading import Table
from helpers.drafts import Drafting
from helpers.people import people, write_csv


def answers(**columns: list[str]) -> list[Answer]:
    """Return the columns of a table that may be the label; each column is given by its
    different values.
    """
    size = 60
    frame = pd.DataFrame(
        {
            name: [values[0]] * (size - 7 * len(values)) + values * 7
            for name, values in columns.items()
        }
    )
    table = Table("t", {}, frame.astype("str"), size, "t.csv")
    table.columns = look_at(table.frame)
    return find_answers([table])


@pytest.mark.parametrize(
    ("name", "values", "positive"),
    [
        ("Churn", ["No", "Yes"], "Yes"),
        ("churn", ["False.", "True."], "True."),
        ("Exited", ["0", "1"], "1"),
        ("Exited", ["0.0", "1.0"], "1.0"),
        ("left", ["0", "1"], "1"),
        ("target", ["-1", "1"], "1"),
        ("y", ["no", "yes"], "yes"),
        ("Attrition_Flag", ["Existing Customer", "Attrited Customer"], "Attrited Customer"),
        ("Résilié", ["FAUX", "VRAI"], "VRAI"),
        ("resiliation", ["non", "oui"], "oui"),
        ("gekündigt", ["nein", "ja"], "ja"),
        ("Kündigung", ["N", "J"], "J"),
        ("abgewandert", ["0", "1"], "1"),
        ("abandono", ["no", "sí"], "sí"),
        ("baja", ["N", "S"], "S"),
        ("disdetta", ["no", "sì"], "sì"),
        ("cancelou", ["Não", "Sim"], "Sim"),
        ("opgezegd", ["nee", "ja"], "ja"),
        ("oppsagt", ["nei", "ja"], "ja"),
        ("uppsagd", ["nej", "ja"], "ja"),
        ("zrezygnował", ["nie", "tak"], "tak"),
        ("odchod", ["ne", "ano"], "ano"),
        ("is_active", ["true", "false"], "false"),
        ("aktiv", ["ja", "nein"], "nein"),
        ("retained", ["1", "0"], "0"),
        ("status", ["active", "cancelled"], "cancelled"),
        ("account_status", ["Open", "Closed"], "Closed"),
        ("Statut", ["actif", "résilié"], "résilié"),
        ("Kundenstatus", ["aktiv", "gekündigt"], "gekündigt"),
        ("churn_next_month", ["0", "1"], "1"),
        ("Subscriber", ["NO", "YES"], "NO"),
        ("renewal_state", ["Renewed", "Not renewed"], "Not renewed"),
        ("member state", ["Active", "Not Active"], "Not Active"),
        ("PolicyStatus", ["In Force", "Surrendered"], "Surrendered"),
        ("line_status", ["connected", "Disconnected"], "Disconnected"),
        ("ayr\u0131ld\u0131", ["hay\u0131r", "evet"], "evet"),
        ("Отток", ["Нет", "Да"], "Да"),
        ("Статус", ["Активный", "Неактивный"], "Неактивный"),
        ("解約", ["いいえ", "はい"], "はい"),
        ("是否流失", ["否", "是"], "是"),
        ("이탈여부", ["아니오", "예"], "예"),
        ("churn_risk_score", ["0", "1"], "1"),
    ],
)
def test_labels_of_two_values(name: str, values: list[str], positive: str) -> None:
    """Name and values tell which column is the label, and which value means that a
    customer has left.
    """
    (found,) = answers(
        **{name: values}, gender=["m", "f"], partner=["Yes", "No"], city=["A", "B", "C"]
    )
    assert (found.column, found.positive, found.negative) == (name, positive, None)


@pytest.mark.parametrize(
    "name",
    [
        "churn_reason",
        "cancel_date",
        "exit_survey_score",
        "months_left",
        "predicted_churn_rate",
        "gender",
        "phone_service",
        "is_tv_subscriber",
    ],
)
def test_names_that_are_no_labels(name: str) -> None:
    """A word of leaving in a name does not make it the label, where its values are none."""
    assert answers(**{name: ["3", "4", "5", "6", "7", "8", "9"]}) == []
    assert [
        one for one in answers(gender=["m", "f"], partner=["Yes", "No"]) if one.column != "x"
    ] == []


def test_two_years_are_no_answer() -> None:
    """The year in which somebody left tells nothing of those who stayed."""
    assert answers(**{"Cancellation Year": ["2017", "2018"], "closing fee": ["9.5", "12.5"]}) == []


def test_labels_of_more_than_two_values() -> None:
    """One value means stayed, one or more mean left, and the rest mean neither."""
    (found,) = answers(status=["Stayed", "Churned", "Joined"])
    assert (found.positive, found.negative, found.rest) == ("Churned", "Stayed", ["Joined"])
    (found,) = answers(state_of_contract=["active", "cancelled", "lapsed", "trial"])
    assert (found.positive, found.negative) == ("cancelled", "active")
    assert (found.same, found.rest) == (["lapsed"], ["trial"])


def test_an_answer_among_a_few_other_texts() -> None:
    """Yes and no in several spellings are one answer; a line of totals is neither, and
    many other texts are none.
    """
    (found,) = answers(Churn=["No", "Yes", "yes", "Y", "N", "no"])
    assert (found.positive, found.negative, found.rest) == ("Yes", None, [])
    frame = pd.DataFrame({"Churn": ["No"] * 80 + ["Yes"] * 19 + ["Total"]}, dtype="str")
    table = Table("t", {}, frame, 100, "t.csv", columns=look_at(frame))
    (found,) = find_answers([table])
    assert (found.positive, found.negative, found.rest) == ("Yes", "No", ["Total"])
    assert answers(lost_card=["No", "Yes", "blue", "red"]) == []


def test_the_likeliest_of_several() -> None:
    """The word churn says more than exit, that more than activity, and a longer name
    less than a short one.
    """
    found = answers(
        is_active=["0", "1"], email_unsubscribed=["0", "1"], churn=["0", "1"], exited=["0", "1"]
    )
    assert [one.column for one in found] == ["churn", "exited", "email_unsubscribed", "is_active"]


def test_spellings_of_the_answer_become_codes(draft: Drafting, tmp_path: Path) -> None:
    """Values that mean the same are one, those of other spellings and those of another
    word for leaving.
    """
    made = people(900)
    stays = made.choose("active", "Active", "trial", p=[0.8, 0.1, 0.1])
    status = np.where(made.churned, made.choose("cancelled", "lapsed", p=[0.8, 0.2]), stays)
    frame = pd.DataFrame({"user_id": range(5000, 5900), "months": made.months, "status": status})
    drafted = draft(write_csv(frame, tmp_path / "users.csv"))
    column = drafted.columns()["status"]
    assert column.codes == {"Active": "active", "lapsed": "cancelled"}
    assert column.values == ["active", "cancelled", "trial"]
    assert drafted.column_label.negative == "active"
    assert "lapsed" in drafted.said("label: status")
