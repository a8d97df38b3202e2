"""What `churn init` guesses: the label and its positive value, ids and joins, horizons, suspects and settings."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapes
from drafts import Drafting, make_drafting
from shapes import people, write_csv

from accepted import FOLDER, Accepted, AcceptedColumn, AcceptedTable, render_schema, slug
from draft.columns import look_at
from draft.inputs import Input
from draft.labels import Answer, find_answers
from draft.naming import choose_name
from draft.reading import Table


@pytest.fixture
def draft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Drafting:
    """Drafts from what it is given."""
    return make_drafting(tmp_path, capsys)


def answers(**columns: list[str]) -> list[Answer]:
    """Return the columns of a table that may be the label; each column is given by its different values."""
    size = 60
    frame = pd.DataFrame(
        {name: [values[0]] * (size - 7 * len(values)) + values * 7 for name, values in columns.items()}
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
    """Name and values tell which column is the label, and which value means that a customer has left."""
    (found,) = answers(**{name: values}, gender=["m", "f"], partner=["Yes", "No"], city=["A", "B", "C"])
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
    assert [one for one in answers(gender=["m", "f"], partner=["Yes", "No"]) if one.column != "x"] == []


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
    """Yes and no in several spellings are one answer; a line of totals is neither, and many other texts are none."""
    (found,) = answers(Churn=["No", "Yes", "yes", "Y", "N", "no"])
    assert (found.positive, found.negative, found.rest) == ("Yes", None, [])
    frame = pd.DataFrame({"Churn": ["No"] * 80 + ["Yes"] * 19 + ["Total"]}, dtype="str")
    table = Table("t", {}, frame, 100, "t.csv", columns=look_at(frame))
    (found,) = find_answers([table])
    assert (found.positive, found.negative, found.rest) == ("Yes", "No", ["Total"])
    assert answers(lost_card=["No", "Yes", "blue", "red"]) == []


def test_the_likeliest_of_several() -> None:
    """The word churn says more than exit, that more than activity, and a longer name less than a short one."""
    found = answers(is_active=["0", "1"], email_unsubscribed=["0", "1"], churn=["0", "1"], exited=["0", "1"])
    assert [one.column for one in found] == ["churn", "exited", "email_unsubscribed", "is_active"]


def test_spellings_of_the_answer_become_codes(draft: Drafting, tmp_path: Path) -> None:
    """Values that mean the same are one, those of other spellings and those of another word for leaving."""
    made = people(900)
    stays = made.choose("active", "Active", "trial", p=[0.8, 0.1, 0.1])
    status = np.where(made.churned, made.choose("cancelled", "lapsed", p=[0.8, 0.2]), stays)
    frame = pd.DataFrame({"user_id": range(5000, 5900), "months": made.months, "status": status})
    drafted = draft(write_csv(frame, tmp_path / "users.csv"))
    column = drafted.columns()["status"]
    assert column.codes == {"Active": "active", "lapsed": "cancelled"}
    assert column.values == ["active", "cancelled", "trial"]
    assert drafted.column_label.negative == "active"
    assert "(also lapsed)" in drafted.told


def test_a_label_that_is_often_missing(draft: Drafting, tmp_path: Path) -> None:
    """Rows without an answer are set aside, and the threshold that allows it is written with the reason."""
    made = people(1500)
    answer = made.blank(np.where(made.churned, "yes", "no"), 0.2)
    frame = pd.DataFrame({"customer": np.arange(10_000, 11_500), "months": made.months, "churned": answer})
    drafted = draft(write_csv(frame, tmp_path / "customers.csv"))
    assert 0.2 < drafted.params.stages["validation"]["max_quarantined_share"] < 0.3
    assert drafted.columns()["churned"].required
    assert "rows without a value of churned" in drafted.text


def test_few_customers(draft: Drafting, tmp_path: Path) -> None:
    """Thresholds that 260 customers would not reach are lowered to what there is."""
    (path,) = shapes.bank(tmp_path, 260)
    stages = draft(path).params.stages
    assert stages["transformation"]["min_customers"] < 260
    assert stages["model_building"]["min_customers"] < 260
    assert stages["model_building"]["min_customers_a_class"] < 45
    assert "validation" not in stages


@pytest.mark.parametrize("name", ["phone number", "Account_No", "msisdn", "Kundennummer", "id_client", "account"])
def test_ids_by_other_names(draft: Drafting, tmp_path: Path, name: str) -> None:
    """What names the customer may be a phone or account number."""
    made = people(700)
    numbers = [f"{n // 10_000:03}-{n % 10_000:04}" for n in made.random.permutation(9_000_000)[:700]]
    frame = pd.DataFrame({"months": made.months, name: numbers, "price": made.price, "churn": made.churned.astype(int)})
    drafted = draft(write_csv(frame, tmp_path / "customers.csv"))
    assert drafted.params.customer_id == name
    assert "unique in all 700 rows" in drafted.told


def test_an_id_that_starts_anew_in_each_part(draft: Drafting, tmp_path: Path) -> None:
    """Ids that repeat name nobody: the rows are numbered, and the column is no feature."""
    made = people(2000)
    frame = pd.DataFrame(
        {
            "CustomerID": [*range(1, 1201), *range(1, 801)],
            "months": made.months,
            "price": made.price,
            "Churn": made.churned.astype(int),
        }
    )
    parts = [write_csv(frame[:1200], tmp_path / "part-a.csv"), write_csv(frame[1200:], tmp_path / "part-b.csv")]
    drafted = draft(*parts)
    assert drafted.params.numbers_rows
    assert drafted.left_out() == {"CustomerID"}


def test_a_table_of_more_customers_than_the_first(draft: Drafting, tmp_path: Path) -> None:
    """Members without an answer cannot be joined, which validation is told to allow, and the analyst to look at."""
    made = people(3000)
    ids = np.array([f"m{n:05}" for n in range(3000)])
    write_csv(
        pd.DataFrame({"msno": ids, "city": made.choose("a", "b"), "age": made.whole(18, 90)}), tmp_path / "members.csv"
    )
    answers = pd.DataFrame({"msno": ids[:1800], "is_churn": made.churned[:1800].astype(int)})
    drafted = draft(write_csv(answers, tmp_path / "train.csv"), tmp_path / "members.csv")
    assert list(drafted.params.sources) == ["train", "members"]
    assert 0.5 < drafted.params.stages["validation"]["min_key_match"] < 0.6
    assert "validation.min_key_match is set" in drafted.told


def test_ids_that_are_written_otherwise(draft: Drafting, tmp_path: Path) -> None:
    """A table whose ids have leading zeros elsewhere, or the answer in a column of its own, is left out with a hint."""
    made = people(800)
    frame = pd.DataFrame({"customer_id": [f"{n:06}" for n in range(800)], "churn": made.churned.astype(int)})
    other = pd.DataFrame({"customer_id": range(800), "months": made.months})
    alone = pd.DataFrame({"answer of": made.choose("a", "b")})
    files = [write_csv(part, tmp_path / f"{name}.csv") for name, part in (("a", frame), ("b", other), ("c", alone))]
    told = " ".join(draft(*files).told.split())
    assert "b.csv: its customer_id names the customers of a.csv, but is written otherwise" in told
    assert "c.csv: one column, as many rows as a.csv" in told


def test_dates_that_lie_after_the_snapshot_are_no_features(draft: Drafting, tmp_path: Path) -> None:
    """A last visit until today tells on the as-of day who will still come."""
    (path,) = shapes.subscriptions(tmp_path)
    frame = pd.read_csv(path)
    made = people(len(frame), seed=2)
    ended = pd.to_datetime(frame["cancelled_on"]).fillna(pd.Timestamp("2024-04-01"))
    frame["last_visit"] = (ended - pd.to_timedelta(made.whole(1, 20), unit="D")).dt.strftime("%Y-%m-%d")
    frame["birthday"] = (pd.Timestamp("1950-01-01") + pd.to_timedelta(made.whole(0, 18_000), unit="D")).strftime(
        "%Y-%m-%d"
    )
    drafted = draft(write_csv(frame, path))
    assert drafted.left_out() == {"status", "cancel_reason", "last_visit"}
    assert "lie on the as-of day or later" in drafted.comment("last_visit")


def test_ends_that_are_planned(draft: Drafting, tmp_path: Path) -> None:
    """Where contracts have an end long before it comes, the horizon ends with what is known, not what is planned."""
    made = people(3000)
    begin = pd.Timestamp("2020-01-01") + pd.to_timedelta(made.random.integers(0, 1500, 3000), unit="D")
    term = pd.to_timedelta(made.choose(365, 730), unit="D")
    frame = pd.DataFrame(
        {
            "contract_no": np.arange(100_000, 103_000),
            "begin": begin.strftime("%d.%m.%Y"),
            "end": pd.Series((begin + term).strftime("%d.%m.%Y")).mask(made.calls == 0),
            "price": made.price,
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "contracts.csv"))
    label = drafted.end_label
    last = drafted.params.as_of_dates[0] + datetime.timedelta(days=label.horizon_days)
    assert last == begin.max().date()


def test_the_begin_is_no_day_that_moves_on(draft: Drafting, tmp_path: Path) -> None:
    """The last visit lies before the end too, but is no begin; without one every customer counts."""
    (path,) = shapes.subscriptions(tmp_path, 1500)
    frame = pd.read_csv(path).rename(columns={"signup_date": "last_seen"}).drop(columns="status")
    drafted = draft(write_csv(frame, path))
    assert drafted.end_label.begin_date is None


def test_a_sum_that_gives_the_end_away(draft: Drafting, tmp_path: Path) -> None:
    """All bills so far, divided by the monthly one, count the months until the end: the sum is left out, and why."""
    made = people(4000, seed=5)
    begin = pd.Timestamp("2020-01-01") + pd.to_timedelta(made.random.integers(0, 1200, 4000), unit="D")
    life = pd.to_timedelta(made.random.exponential(900, 4000).astype(int) + 20, unit="D")
    last = pd.Timestamp("2023-12-31")
    end = (begin + life).where(begin + life <= last)
    paid = ((end.fillna(last) if hasattr(end, "fillna") else end) - begin).days / 30.4 * made.price
    frame = pd.DataFrame(
        {
            "account": [f"A{n:06}" for n in range(4000)],
            "opened": begin.strftime("%Y-%m-%d"),
            "closed": end.strftime("%Y-%m-%d"),
            "monthly": made.price,
            "paid in total": paid.to_numpy().round(2),
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "accounts.csv"))
    assert drafted.end_label.end_date == "closed"
    assert drafted.left_out() == {"paid in total"}
    assert "gives the answer away in `paid in total / monthly" in drafted.comment("paid in total")


def test_what_is_missing_tells_the_answer(draft: Drafting, tmp_path: Path) -> None:
    """A column that only those who left have is left out; an honest one with as many gaps is not."""
    made = people(2000)
    frame = pd.DataFrame(
        {
            "client": [f"c{n:05}" for n in range(2000)],
            "months": made.months,
            "Grund": np.where(made.churned, made.choose("Preis", "Umzug", "Service"), None),
            "rating": made.blank(made.whole(1, 6), 0.7),
            "churn": np.where(made.churned, "ja", "nein"),
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "clients.csv"))
    assert drafted.left_out() == {"Grund"}
    assert "whether it is missing tells the answer" in drafted.told


def test_a_model_that_is_too_good_is_told(draft: Drafting, tmp_path: Path) -> None:
    """Where no column alone is suspect but all together tell the answer, the analyst is asked to look."""
    made = people(3000)
    noise = made.random.normal(0, 1, (6, 3000))
    answer = noise.sum(axis=0) > 1.5
    frame = pd.DataFrame({f"part {n}": values.round(4) for n, values in enumerate(noise)}).assign(
        churn=answer.astype(int)
    )
    drafted = draft(write_csv(frame, tmp_path / "parts.csv"))
    assert drafted.left_out() == set()
    assert "a quick model of the features reaches an AUC of 0.9" in drafted.told


def test_a_strong_column_may_be_honest(draft: Drafting, tmp_path: Path) -> None:
    """What is left out for its score alone is named again, with what allows it."""
    made = people(1500)
    score = np.where(made.churned, made.number(50, 110), made.number(0, 60))
    frame = pd.DataFrame({"user": range(7000, 8500), "idle days": score, "months": made.months, "churn": made.churned})
    drafted = draft(write_csv(frame, tmp_path / "users.csv"))
    assert drafted.left_out() == {"idle days"}
    assert "allowed_columns: [idle days]" in " ".join(drafted.told.split())


def test_names_that_mean_something_in_yaml(draft: Drafting, tmp_path: Path) -> None:
    """Whatever columns are called, the file loads and calls them so."""
    names = ["a: b", "#x", "- y", "null", "Yes", "1", "é, è", "{z}", "it's", '"q"', "*s", "&t", "%v", "?", "[w]", "~"]
    made = people(400)
    frame = pd.DataFrame({name: made.whole(0, 50) for name in names} | {"churn": made.churned.astype(int)})
    drafted = draft(write_csv(frame, tmp_path / "odd names.csv"))
    assert list(drafted.columns()) == [*names, "churn"]


def test_a_name_that_the_feature_store_cannot_hold(draft: Drafting, tmp_path: Path) -> None:
    """Columns whose names end in `_y`, or have a colon, are kept out rather than stopping the run."""
    made = people(800)
    frame = pd.DataFrame(
        {"months_y": made.months, "a:b": made.price, "calls": made.calls, "churn": made.churned.astype(int)}
    )
    drafted = draft(write_csv(frame, tmp_path / "merged.csv"))
    assert drafted.left_out() == {"months_y", "a:b"}


def test_a_table_without_any_answer_in_parts(
    draft: Drafting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of a file, and one in another form, are left out with the reason."""
    (path,) = shapes.bank(tmp_path, 700)
    copy = tmp_path / "copy of it.csv"
    copy.write_bytes(path.read_bytes())
    pd.read_csv(path).to_csv(tmp_path / "other.csv", sep=";", index=False)
    drafted = draft(path, copy, tmp_path / "other.csv")
    assert len(drafted.params.sources) == 1
    assert "stand in" in drafted.told
    assert "has the columns of" in drafted.told


def test_accounts_are_no_counts(draft: Drafting, tmp_path: Path) -> None:
    """`account_id` names the customer, also of whole numbers in their order, and an answer of accounts is one."""
    made = people(900)
    frame = pd.DataFrame({"account_id": range(1, 901), "price": made.price, "account_closed": made.churned.astype(int)})
    usage = pd.DataFrame({"account_id": range(1, 901), "calls": made.calls})
    drafted = draft(write_csv(frame, tmp_path / "crm.csv"), write_csv(usage, tmp_path / "usage.csv"))
    assert drafted.params.customer_id == "account_id"
    assert list(drafted.params.sources) == ["crm", "usage"]
    assert "account_closed, churned = 1 " in drafted.told
    assert "; sure, from" in drafted.told


def test_a_part_whose_answers_are_blank(draft: Drafting, tmp_path: Path) -> None:
    """It is left out, though another column (`DroppedCalls`) has a word of leaving in its name."""
    made = people(1500)
    frame = pd.DataFrame(
        {
            "CustomerID": range(3_000_000, 3_001_500),
            "Churn": np.where(made.churned, "Yes", "No"),
            "months": made.months,
            "DroppedCalls": made.calls,
            "price": made.price,
        }
    )
    parts = [frame[:1000], frame[1000:].assign(Churn=None)]
    paths = [write_csv(part, tmp_path / f"{name}.csv") for part, name in zip(parts, ("train", "holdout"), strict=True)]
    drafted = draft(*paths)
    assert "holdout.csv: its 500 rows lack the answer, Churn" in drafted.told
    assert "max_quarantined_share" not in drafted.text


def test_answers_of_parts_in_other_forms(draft: Drafting, tmp_path: Path) -> None:
    """1 and 1.0 are the same answer, where one part was saved with decimals."""
    made = people(1500)
    frame = pd.DataFrame({"id": range(1500), "price": made.price, "Churn": made.churned.astype(int)})
    parts = [write_csv(frame[:500], tmp_path / "part-a.csv")]
    parts.append(write_csv(frame[500:].astype({"Churn": float}), tmp_path / "part-b.csv"))
    drafted = draft(*parts)
    assert drafted.column_label.positive == "1.0"
    assert drafted.columns()["Churn"].codes == {"0": "0.0", "1": "1.0"}


def test_all_that_is_known_ends_where_the_ends_begin(draft: Drafting, tmp_path: Path) -> None:
    """Events that were cut at the day of the snapshot, and ends after it: that day is found, and events keep time."""
    made = people(1500)
    day = pd.Timestamp("2024-06-01")
    ends = pd.Series(day + pd.to_timedelta(made.whole(0, 80), unit="D")).where(pd.Series(made.churned))
    begins = day - pd.to_timedelta(made.months * 30, unit="D")
    frame = pd.DataFrame({"account_id": range(1500), "price": made.price, "started_at": begins, "ended_at": ends})
    owner = np.repeat(np.arange(1500), made.calls + 1)
    when = day - pd.to_timedelta(made.random.integers(1, 60, len(owner)), unit="D")
    events = pd.DataFrame({"account_id": owner, "at": when, "kind": "login"})
    drafted = draft(write_csv(frame, tmp_path / "accounts.csv"), write_csv(events, tmp_path / "events.csv"))
    assert drafted.params.as_of_dates == [datetime.date(2024, 6, 1)]
    assert drafted.end_label.horizon_days == 79
    later = write_csv(events.assign(at=when + pd.Timedelta(days=45)), tmp_path / "events.csv")
    assert drafted.params.sources["events"].time == "at"
    assert draft(tmp_path / "accounts.csv", later).columns("events")["at"].feature


def test_a_month_says_no_day(draft: Drafting, tmp_path: Path) -> None:
    """Where logs tell what happened within a month, the analyst is asked when in it the snapshot was taken."""
    made = people(900)
    months = ["202401", "202402", "202403"]
    rows = [
        pd.DataFrame({"msno": range(900), "month": month, "is_churn": made.churned.astype(int)}) for month in months
    ]
    logs = pd.DataFrame(
        {"msno": np.repeat(np.arange(900), 4), "date": ["20240110", "20240115", "20240203", "20240301"] * 900}
    )
    logs["seconds"] = np.repeat(made.price, 4)
    drafted = draft(write_csv(pd.concat(rows), tmp_path / "train.csv"), write_csv(logs, tmp_path / "user_logs.csv"))
    assert "is read as the first day of that month, before which a row of user_logs has to lie" in " ".join(
        drafted.told.split()
    )


def test_a_table_of_those_who_left(draft: Drafting, tmp_path: Path) -> None:
    """Who has a row there has left: the whole table is no source, for already its rows tell the answer."""
    made = people(1200)
    ids = np.array([f"A-{n:05}" for n in made.random.permutation(1200)])
    accounts = {"account_id": ids, "plan": made.term, "seats": made.price, "churn_flag": made.churned}
    left = np.repeat(ids[made.churned], 2)
    events = {"account_id": left, "event": [f"C-{n:05}" for n in range(len(left))], "reason": "price"}
    tickets = {"account_id": np.repeat(ids, made.calls), "hours": made.random.gamma(2, 9, made.calls.sum())}
    tables = {"accounts": accounts, "churn_events": events, "last_words": {"account_id": ids[made.churned], "vote": 3}}
    tables["tickets"] = tickets
    drafted = draft(*(write_csv(pd.DataFrame(table), tmp_path / f"{name}.csv") for name, table in tables.items()))
    assert list(drafted.params.sources) == ["accounts", "tickets"]
    told = " ".join(drafted.told.split())
    assert "churn_events.csv: those who left have a row there, and hardly anybody else" in told
    assert "last_words.csv: those who left have a row there, and hardly anybody else" in told


def test_events_of_customers_are_no_customers(draft: Drafting, tmp_path: Path) -> None:
    """Neither is a time stamp the customer's id; where a user has many rows, a file of the users is asked for."""
    random = np.random.default_rng(5)
    events = {
        "ts": 1_538_352_000_000 + random.permutation(4000) * 1_000,
        "userId": random.integers(0, 200, 4000),
        "page": random.choice(["Home", "Song", "Help"], 4000),
        "auth": random.choice(["Logged In", "Cancelled"], 4000, p=[0.9, 0.1]),
    }
    drafted = draft(write_csv(pd.DataFrame(events), tmp_path / "events.csv"))
    assert drafted.params.numbers_rows
    assert "userId: 200 values in 4,000 rows. If it names the customers" in " ".join(drafted.told.split())


def test_the_id_of_a_document_store(draft: Drafting, tmp_path: Path) -> None:
    """`_id.$oid` names the customer, rather than the phone."""
    made = people(600)
    names = {"_id.$oid": [f"{n:024x}" for n in range(600)], "profile.phone": [f"+4930{n:07}" for n in range(600)]}
    frame = pd.DataFrame({**names, "months": made.months, "churned": made.churned})
    assert draft(write_csv(frame, tmp_path / "customers.csv")).params.customer_id == "_id.$oid"


def test_a_file_beside_another(draft: Drafting, tmp_path: Path) -> None:
    """The answers in a file of their own, without a key, are left out, and it is said what to do with them."""
    made = people(900)
    frame = pd.DataFrame({"months": made.months, "price": made.price, "is_active": 1 - made.churned.astype(int)})
    labels = tmp_path / "answers.csv"
    labels.write_text("\n".join(np.where(made.churned, "1", "-1")) + "\n", encoding="utf-8")
    drafted = draft(write_csv(frame, tmp_path / "customers.csv"), labels)
    assert "answers.csv: one column, as many rows as customers.csv" in drafted.told


def accept(name: str, columns: dict[str, AcceptedColumn], root: Path) -> None:
    """Keep columns as what is normal for a data set."""
    folder = root / FOLDER / slug(name)
    folder.mkdir(parents=True, exist_ok=True)
    state = Accepted(name=name, tables={"t": AcceptedTable(rows=5, columns=columns)})
    (folder / "schema.yaml").write_text(render_schema(state), encoding="utf-8")


def test_a_name_under_which_other_data_was_accepted(tmp_path: Path) -> None:
    """`churn.csv` of another company gets another name: it is not compared with what was normal for the first."""
    tables = [Table("churn", {}, pd.DataFrame({"id": ["1"], "age": ["2"], "left": ["0"]}), 1, "churn.csv")]
    tables[0].columns = look_at(tables[0].frame)
    inputs = [Input("file", str(tmp_path / "our_bank" / "churn.csv"), "churn.csv")]
    assert choose_name("churn", inputs, tables, tmp_path) == "churn"
    facts = {name: AcceptedColumn(type="category") for name in ("id", "plan", "calls", "cancelled")}
    accept("churn", facts, tmp_path)
    assert choose_name("churn", inputs, tables, tmp_path) == "our bank churn"
    accept("our bank churn", facts, tmp_path)
    assert choose_name("churn", inputs, tables, tmp_path) == "churn 2"
    accept("churn", {name: AcceptedColumn(type="category") for name in ("id", "age", "left", "note")}, tmp_path)
    assert choose_name("churn", inputs, tables, tmp_path) == "churn"
