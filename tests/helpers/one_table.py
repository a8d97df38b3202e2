"""Made-up companies whose data is one table, in the shapes of real churn data: other names,
languages, file formats and dirt. All seeded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.people import people, write_csv


def bank(folder: Path, size: int = 3000) -> list[Path]:
    """A bank: a row number, surnames, an inverted look-alike (`IsActiveMember`), and a
    complaint that tells all.
    """
    made = people(size)
    complain = np.where(made.random.random(size) < 0.997, made.churned, ~made.churned).astype(int)
    frame = pd.DataFrame(
        {
            "RowNumber": np.arange(1, size + 1),
            "CustomerId": 15_565_701 + made.random.permutation(size * 3)[:size],
            "Surname": made.choose(
                *[f"Name{letter}{n}" for letter in "abcdefghij" for n in range(90)]
            ),
            "CreditScore": made.whole(350, 851),
            "Geography": made.choose("France", "Germany", "Spain", p=[0.5, 0.25, 0.25]),
            "Gender": made.choose("Male", "Female"),
            "Age": made.whole(18, 80),
            "Tenure": made.months // 6,
            "Balance": np.where(made.random.random(size) < 0.35, 0, made.number(20_000, 220_000)),
            "NumOfProducts": made.whole(1, 5),
            "HasCrCard": made.whole(0, 2),
            "IsActiveMember": (made.calls < 2).astype(int),
            "EstimatedSalary": made.number(11.58, 199_992.48),
            "Exited": made.churned.astype(int),
            "Complain": complain,
            "Satisfaction Score": made.whole(1, 6),
            "Card Type": made.choose("DIAMOND", "GOLD", "SILVER", "PLATINUM"),
            "Point Earned": made.price.round().astype(int) * 10,
        }
    )
    return [write_csv(frame, folder / "Bank Churn Records.csv")]


def cards(folder: Path, size: int = 4000) -> list[Path]:
    """Credit cards: the answer in words, `Unknown` for missing, and two columns that a
    classifier left behind.
    """
    made = people(size, seed=11)
    bayes = np.clip(
        np.where(made.churned, 0.99, 0.0001) + made.number(-0.0001, 0.0001, 7), 0, 1
    ).round(7)
    long = (
        "Naive_Bayes_Classifier_Attrition_Flag_Card_Category_Contacts_Count_12_mon_"
        "Months_Inactive_12_mon"
    )
    frame = pd.DataFrame(
        {
            "CLIENTNUM": 708_082_083 + made.random.permutation(size * 30)[:size],
            "Attrition_Flag": np.where(made.churned, "Attrited Customer", "Existing Customer"),
            "Customer_Age": made.whole(26, 73),
            "Gender": made.choose("M", "F"),
            "Education_Level": made.choose(
                "Graduate", "High School", "Unknown", "Uneducated", "Doctorate"
            ),
            "Marital_Status": made.choose("Married", "Single", "Unknown", "Divorced"),
            "Income_Category": made.choose(
                "Less than $40K", "$40K - $60K", "$80K - $120K", "Unknown"
            ),
            "Card_Category": made.choose("Blue", "Gold", "Silver", p=[0.9, 0.02, 0.08]),
            "Months_on_book": made.months,
            "Contacts_Count_12_mon": made.calls,
            "Credit_Limit": made.number(1438, 34_516, 1),
            "Total_Trans_Ct": (90 - made.price * 0.3 + made.random.normal(0, 8, size))
            .round()
            .astype(int),
            f"{long}_1": bayes,
            f"{long}_2": (1 - bayes).round(7),
        }
    )
    return [write_csv(frame, folder / "CardChurners.csv")]


def mobile_parts(folder: Path, size: int = 3300) -> list[Path]:
    """A mobile operator in two parts of 80 and 20 per cent, without an id; `True` and
    `False` for the answer.
    """
    made = people(size, seed=3, rate=-1.8)
    frame = pd.DataFrame(
        {
            "State": made.choose("KS", "OH", "NJ", "OK", "AL", "MA", "MO", "LA", "WV", "NA"),
            "Account length": made.months * 3,
            "Area code": made.choose(415, 408, 510),
            "International plan": np.where(made.term == "month", "No", "Yes"),
            "Voice mail plan": made.choose("Yes", "No", p=[0.3, 0.7]),
            "Number vmail messages": made.whole(0, 50),
            "Total day minutes": (made.price * 3).round(1),
            "Total day charge": (made.price * 3 * 0.17).round(2),
            "Total eve calls": made.whole(20, 170),
            "Customer service calls": made.calls,
            "Churn": np.where(made.churned, "True", "False"),
        }
    )
    cut = int(size * 0.8)
    return [
        write_csv(frame[:cut], folder / "mobile-churn-80.csv"),
        write_csv(frame[cut:], folder / "mobile-churn-20.csv"),
    ]


def french(folder: Path, size: int = 2500) -> list[Path]:
    """A French operator: semicolons, decimal commas, VRAI and FAUX, day before month,
    in Windows' code page.
    """
    made = people(size, seed=5)
    days = pd.Timestamp("2024-06-30") - pd.to_timedelta(made.months * 30, unit="D")
    frame = pd.DataFrame(
        {
            "Numéro client": [f"C{n:06}" for n in made.random.permutation(size)],
            "Civilité": made.choose("M.", "Mme"),
            "Région": made.choose("Île-de-France", "Rhône-Alpes", "Bretagne", "Côte d'Azur"),
            "Date d'adhésion": [f"{day:%d/%m/%Y}" for day in days],
            "Forfait": np.where(made.term == "month", "sans engagement", "engagé"),
            "Facture moyenne": made.price,
            "Encours": made.blank(made.number(0, 3000), 0.1, None),
            "Appels au service client": made.calls,
            "Résilié": np.where(made.churned, "VRAI", "FAUX"),
        }
    )
    frame["Encours"] = frame["Encours"].astype("float64")
    path = folder / "clients résiliés.csv"
    return [write_csv(frame, path, sep=";", decimal=",", encoding="cp1252")]


def subscriptions(folder: Path, size: int = 3000) -> list[Path]:
    """Subscriptions over four years with begin and end dates, a status that tells
    today's state, and a reason.
    """
    made = people(size, seed=19)
    begin = pd.Timestamp("2020-01-01") + pd.to_timedelta(
        made.random.integers(0, 1400, size), unit="D"
    )
    life = pd.to_timedelta(
        (made.random.exponential(500, size) * np.where(made.term == "month", 0.6, 1.6)).astype(int),
        unit="D",
    )
    end = (begin + life).where(begin + life <= pd.Timestamp("2024-03-31"))
    frame = pd.DataFrame(
        {
            "subscription_no": [f"S{n:07}" for n in made.random.permutation(size)],
            "plan": made.choose("basic", "plus", "pro"),
            "term": made.term,
            "signup_date": begin.strftime("%Y-%m-%d"),
            "cancelled_on": end.strftime("%Y-%m-%d"),
            "cancel_reason": np.where(end.notna(), made.choose("price", "moved", "quality"), None),
            "status": np.where(end.notna(), "cancelled", "active"),
            "price": made.price,
            "seats": made.whole(1, 20),
        }
    )
    return [write_csv(frame, folder / "subscriptions.csv")]


def monthly(folder: Path, size: int = 800) -> list[Path]:
    """Snapshots of the same customers in six files, one a month, the month in the name."""
    made = people(size, seed=23, rate=-1.6)
    known = {
        "region": made.choose("north", "south", "east"),
        "age": made.whole(18, 90),
        "plan": made.term,
    }
    files = []
    for month in range(1, 7):
        left = made.random.random(size) < 0.03 + 0.3 * made.churned
        frame = pd.DataFrame(
            {
                "account_no": np.arange(4_000_000, 4_000_000 + size),
                **known,
                "charges": (made.price * made.number(0.8, 1.2)).round(2),
                "balance": made.number(-500, 9000),
                "logins": made.random.poisson(np.where(made.churned, 2, 6)),
                "products": made.whole(1, 5),
                "churn_next_month": left.astype(int),
            }
        )
        files.append(write_csv(frame, folder / f"snapshot_2024-{month:02}.csv"))
    return files


def anonymous(folder: Path, size: int = 4000, columns: int = 230) -> list[Path]:
    """An anonymous table of 230 columns, many of them nearly empty, with the answers -1 and 1."""
    made = people(size, seed=29)
    table: dict[str, Any] = {}
    for n in range(1, columns + 1):
        missing = 0.0 if n % 10 == 0 else 0.98 if n % 3 else 0.4
        values = (
            made.number(0, 10 ** (n % 6), 3)
            if n <= 190
            else made.choose(*[f"v{k:x}" for k in range(2 + n % 40)])
        )
        table[f"Var{n}"] = made.blank(values, missing)
    table["Var10"], table["Var20"] = made.months, made.price
    table["Var30"] = made.calls
    table["target"] = np.where(made.churned, 1, -1)
    return [write_csv(pd.DataFrame(table), folder / "anonymous.txt", sep="\t")]


def wide_text(folder: Path, size: int = 1500) -> list[Path]:
    """A telecom export in UTF-16 with tabs: the answer twice (a text and its numeric
    twin), a score, a reason.
    """
    made = people(size, seed=31)
    frame = pd.DataFrame(
        {
            "CustomerID": [f"{n:04}-QX" for n in made.random.permutation(size)],
            "Count": 1,
            "Country": "United States",
            "City": made.choose(*[f"Stadt Nº{n}" for n in range(300)]),
            "Zip Code": made.choose(*[f"{n:05}" for n in range(2000, 2300)]),
            "Tenure Months": made.months,
            "Contract": made.term,
            "Monthly Charges": made.price,
            "Total Charges": (made.price * made.months).round(2),
            "Churn Label": np.where(made.churned, "Yes", "No"),
            "Churn Value": made.churned.astype(int),
            "Churn Score": np.where(made.churned, made.whole(65, 100), made.whole(5, 80)),
            "CLTV": made.whole(2000, 6500),
            "Churn Reason": np.where(
                made.churned, made.choose("Price", "Competitor", "Moved"), None
            ),
        }
    )
    return [write_csv(frame, folder / "telecom.txt", sep="\t", encoding="utf-16")]


def kaggle(folder: Path, size: int = 2000) -> list[Path]:
    """A competition: a training part, a test part without the answer, and a sample of
    the submission.
    """
    made = people(size, seed=41)
    frame = pd.DataFrame(
        {
            "id": np.arange(size),
            "plan": made.term,
            "charges": made.price,
            "months": made.months,
            "support_calls": made.calls,
            "churn": np.where(made.churned, "yes", "no"),
        }
    )
    cut = int(size * 0.7)
    return [
        write_csv(frame[:cut], folder / "train.csv"),
        write_csv(frame[cut:].drop(columns="churn"), folder / "test.csv"),
        write_csv(frame[cut:][["id"]].assign(churn="no"), folder / "sample_submission.csv"),
    ]


def json_lines(size: int = 1500) -> bytes:
    """An app's users, one JSON object a line: `is_active` says the opposite of the answer."""
    made = people(size, seed=43)
    users = made.random.permutation(size)
    records = [
        {
            "user_id": f"u{users[i]:05}",
            "is_active": bool(not made.churned[i]),
            "sessions": int(made.calls[i]),
            "days": int(made.months[i]) * 30,
            "platform": "ios" if i % 3 else "android",
            "spent": None if i % 11 == 0 else float(made.price[i]),
        }
        for i in range(size)
    ]
    return "\n".join(json.dumps(record) for record in records).encode()


def mixed_parts(folder: Path, size: int = 3000) -> list[Path]:
    """Three parts: answers of 0 and 1, of 0.0 and 1.0, and none yet; states such as NC
    and ND; -999 for unknown.
    """
    made = people(size, seed=43)
    days = np.where(made.random.random(size) < 0.06, -999, made.whole(1, 27))
    frame = pd.DataFrame(
        {
            "account_id": np.arange(4_000_000, 4_000_000 + 3 * size, 3),
            "State": made.choose("NC", "ND", "KS", "OH", "NJ"),
            "Tenure": made.months,
            "Days since login": days,
            "DroppedCalls": made.calls,
            "Monthly Charge": made.price,
            "Contract": made.term,
            "Churn": made.churned.astype(int),
        }
    )
    cuts = int(size * 0.3), int(size * 0.85)
    return [
        write_csv(frame[: cuts[0]], folder / "accounts-test.csv"),
        write_csv(
            frame[cuts[0] : cuts[1]].astype({"Churn": float, "Tenure": float}),
            folder / "accounts-train.csv",
        ),
        write_csv(frame[cuts[1] :].assign(Churn=None), folder / "accounts-holdout.csv"),
    ]
