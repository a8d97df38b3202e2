"""Made-up companies whose data is several tables that belong together: files, sheets, a
database. All seeded.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.people import people, write_csv


def shop(folder: Path, size: int = 2500) -> list[Path]:
    """An online shop: an Excel workbook whose first sheet describes the columns of the second."""
    made = people(size, seed=13, rate=-1.6)
    frame = pd.DataFrame(
        {
            "CustomerID": np.arange(50_001, 50_001 + size),
            "Churn": made.churned.astype(int),
            "Tenure": made.blank(made.months, 0.05),
            "PreferredLoginDevice": made.choose("Mobile Phone", "Phone", "Computer"),
            "CityTier": made.whole(1, 4),
            "PreferredPaymentMode": made.choose(
                "Debit Card", "CC", "Credit Card", "COD", "Cash on Delivery", "UPI"
            ),
            "Gender": made.choose("Female", "Male"),
            "HourSpendOnApp": made.blank(made.whole(0, 6), 0.04),
            "SatisfactionScore": made.whole(1, 6),
            "Complain": (made.calls > 2).astype(int),
            "DaySinceLastOrder": made.blank(made.whole(0, 30), 0.05),
            "CashbackAmount": made.price,
        }
    )
    described = pd.DataFrame(
        {
            "Data": "Shop",
            "Variable": list(frame.columns),
            "Description": [f"{name}, as the shop counts it" for name in frame.columns],
        }
    )
    path = folder / "Online Shop Dataset.xlsx"
    with pd.ExcelWriter(path) as book:
        described.to_excel(book, sheet_name="Data Dict", index=False)
        frame.to_excel(book, sheet_name="Shop Comm", index=False)
    return [path]


def four_tables(folder: Path, size: int = 2500) -> list[Path]:
    """Four tables of one company, joined by an id that each calls otherwise; one has
    many rows a customer.
    """
    made = people(size, seed=17)
    ids = np.array([f"K-{n:05}" for n in made.random.permutation(size)])
    has_card = made.random.random(size) < 0.6
    bookings = np.repeat(np.arange(size), made.random.poisson(4, size) + 1)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        made.random.integers(0, 360, len(bookings)), unit="D"
    )
    customers = {
        "kundennr": ids,
        "geschlecht": made.choose("m", "w"),
        "monate": made.months,
        "preis": made.price,
    }
    contracts = {
        "Vertragskunde": ids,
        "Laufzeit": made.term,
        "gekündigt": np.where(made.churned, "ja", "nein"),
    }
    cards = {"kunden_id": ids[has_card], "Karte": made.choose("Gold", "Silber")[has_card]}
    booked = {
        "booking_id": np.arange(len(bookings)),
        "Kunde": ids[bookings],
        "Buchungsdatum": [f"{day:%d.%m.%Y}" for day in when],
        "betrag": made.random.gamma(2, 30, len(bookings)).round(2),
    }
    tables = {"kunden": customers, "vertraege": contracts, "karten": cards, "buchungen": booked}
    return [
        write_csv(pd.DataFrame(table), folder / f"{name}.csv") for name, table in tables.items()
    ]


def joined_stayed(folder: Path, size: int = 2000) -> list[Path]:
    """Customers who churned, stayed or only just joined, with a table of postcodes and
    one that describes columns.
    """
    made = people(size, seed=37)
    status = np.where(made.churned, "Churned", np.where(made.months < 4, "Joined", "Stayed"))
    frame = pd.DataFrame(
        {
            "Customer ID": [f"{n:04}-ORFBO" for n in made.random.permutation(size)],
            "Age": made.whole(19, 80),
            "Zip Code": 90_000 + made.whole(0, 400),
            "Offer": made.choose("None", "Offer A", "Offer B"),
            "Tenure in Months": made.months,
            "Contract": made.term,
            "Monthly Charge": np.where(made.random.random(size) < 0.02, -1, made.price),
            "Customer Status": status,
            "Churn Category": np.where(
                status == "Churned", made.choose("Price", "Competitor"), None
            ),
        }
    )
    zips = pd.DataFrame(
        {"Zip Code": np.arange(90_000, 90_400), "Population": made.random.integers(11, 9000, 400)}
    )
    words = pd.DataFrame(
        {
            "Table": "Customers",
            "Field": frame.columns,
            "Description": [f"The {n} of the customer" for n in frame.columns],
        }
    )
    return [
        write_csv(frame, folder / "customers.csv"),
        write_csv(zips, folder / "zipcode_population.csv"),
        write_csv(words, folder / "data_dictionary.csv"),
    ]


def whole_database(size: int = 1500) -> dict[str, pd.DataFrame]:
    """The tables of a shop's database: customers, orders whose own number is called
    `id`, profiles, and a stranger.
    """
    made = people(size, seed=47)
    orders = 4 * size
    ids = np.arange(1000, 1000 + size)
    when = pd.Timestamp("2024-01-01 08:30") + pd.to_timedelta(
        made.random.integers(0, 362, orders), unit="D"
    )
    return {
        "customers": pd.DataFrame(
            {
                "id": ids,
                "name": [f"Person {n}" for n in range(size)],
                "city": made.choose("Oslo", "Bergen"),
                "churned": made.churned.astype(int),
            }
        ),
        "orders": pd.DataFrame(
            {
                "id": np.arange(orders),
                "customer_id": made.random.choice(ids, orders),
                "ordered_at": when.strftime("%Y-%m-%d %H:%M:%S"),
                "amount": made.random.gamma(2, 30, orders).round(2),
                "is_cancelled": made.random.integers(0, 2, orders),
            }
        ),
        "profiles": pd.DataFrame({"customer_id": ids, "tenure": made.months, "price": made.price}),
        "schema_version": pd.DataFrame({"version": [1]}),
    }


def cut_at_the_snapshot(folder: Path, size: int = 3000) -> list[Path]:
    """A database of three tables: events until the day of the snapshot, and the ends
    that came in 80 days after it.
    """
    made = people(size, seed=47)
    day = pd.Timestamp("2024-06-01")
    ends = (day + pd.to_timedelta(made.whole(0, 80), unit="D")).strftime("%Y-%m-%d")
    begins = day - pd.to_timedelta(made.months * 30 + made.whole(1, 29), unit="D")
    owner = np.repeat(np.arange(size), made.calls + 1)
    when = day - pd.to_timedelta(made.random.integers(1, 60 * 24 * 60, len(owner)), unit="min")
    subscriptions = {
        "account_id": np.arange(size),
        "price": made.price,
        "started_at": begins.strftime("%Y-%m-%d"),
    }
    subscriptions["ended_at"] = np.where(made.churned, ends, None)
    events = {"account": owner, "at": when.strftime("%Y-%m-%d %H:%M:%S"), "kind": "ticket"}
    path = folder / "app.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        accounts = pd.DataFrame(
            {"id": np.arange(size), "term": made.term, "seats": made.whole(1, 50)}
        )
        accounts.to_sql("accounts", database, index=False)
        pd.DataFrame(subscriptions).to_sql("subscriptions", database, index=False)
        pd.DataFrame(events).to_sql("events", database, index=False)
        database.commit()
    return [path]
