"""The rows of the four tables, as the company's systems would hold them: text only,
before any dirt.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn.sample.customers import ADDONS, BLOCK, NETS, PAYMENTS, TYPES, Customers, Ints

Texts = NDArray[Any]
Table = dict[str, Texts]

MOST_CUSTOMERS = 10_000_000
COLUMNS = {
    "contract": (
        *("customerID", "BeginDate", "EndDate", "Type"),
        *("PaperlessBilling", "PaymentMethod", "MonthlyCharges", "TotalCharges"),
    ),
    "personal": ("customerID", "gender", "SeniorCitizen", "Partner", "Dependents"),
    "internet": ("customerID", "InternetService", *ADDONS),
    "phone": ("customerID", "MultipleLines"),
}
_LETTERS = 26**5
_IDS = 10_000 * _LETTERS


def customer_ids(seed: int, numbers: Ints) -> Texts:
    """Ids of the form `1234-ABCDE`: an affine bijection of the customers' numbers (0 to
    2 * `MOST_CUSTOMERS`).

    Two numbers never share an id, because the factor has no divisor in common with the
    count of possible ids.
    """
    state = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    factor, offset = int(state[0] % _IDS) | 1, int(state[1] % _IDS)
    while gcd(factor, _IDS) != 1:
        factor += 2
    digits, letters = np.divmod((numbers * (factor % _IDS) + offset) % _IDS, _LETTERS)
    text = np.empty((len(numbers), 10), dtype=np.uint8)
    for place in range(4):
        text[:, place] = ord("0") + digits // 10 ** (3 - place) % 10
        text[:, 5 + place] = ord("A") + letters // 26 ** (4 - place) % 26
    text[:, 4], text[:, 9] = ord("-"), ord("A") + letters % 26
    return text.view("S10").ravel().astype("U10").astype(object)


def make_tables(customers: Customers, seed: int, block: int, size: int) -> dict[str, Table]:
    """Write down the first `size` customers of a block: four tables, without rows for
    services that are not bought.
    """
    ids = customer_ids(seed, block * BLOCK + np.arange(BLOCK, dtype=np.int64))
    kept = np.arange(BLOCK) < size
    return {
        "contract": _select(_contract(customers, ids), kept),
        "personal": _select(_personal(customers, ids), kept),
        "internet": _select(_internet(customers, ids), kept & (customers.net > 0)),
        "phone": _select(
            {"customerID": ids, "MultipleLines": _yes_no(customers.lines)}, kept & customers.phone
        ),
    }


def orphan_ids(seed: int, block: int, count: int) -> Texts:
    """Ids that no customer has: they stand behind the largest possible number of customers."""
    return customer_ids(seed, MOST_CUSTOMERS + block * BLOCK + np.arange(count, dtype=np.int64))


def money(cents: Ints) -> Texts:
    """Cents as text in dollars with two decimals."""
    return np.array([f"{amount / 100:.2f}" for amount in cents.tolist()], dtype=object)


def _contract(customers: Customers, ids: Texts) -> Table:
    return {
        "customerID": ids,
        "BeginDate": np.datetime_as_string(customers.begin).astype(object),
        "EndDate": np.where(
            np.isnat(customers.end), "No", np.datetime_as_string(customers.end)
        ).astype(object),
        "Type": _words(TYPES, customers.type),
        "PaperlessBilling": _yes_no(customers.paperless),
        "PaymentMethod": _words(PAYMENTS, customers.payment),
        "MonthlyCharges": money(customers.charge),
        "TotalCharges": money(customers.total),
    }


def _personal(customers: Customers, ids: Texts) -> Table:
    return {
        "customerID": ids,
        "gender": _words(("Male", "Female"), customers.female),
        "SeniorCitizen": _words(("0", "1"), customers.senior),
        "Partner": _yes_no(customers.partner),
        "Dependents": _yes_no(customers.dependents),
    }


def _internet(customers: Customers, ids: Texts) -> Table:
    addons = {name: _yes_no(customers.addons[:, place]) for place, name in enumerate(ADDONS)}
    return {"customerID": ids, "InternetService": _words(NETS, customers.net)} | addons


def _words(words: tuple[str, ...], positions: NDArray[Any]) -> Texts:
    return np.array(words, dtype=object)[positions.astype(np.int64)]


def _yes_no(flags: NDArray[np.bool_]) -> Texts:
    return _words(("No", "Yes"), flags)


def _select(table: Table, rows: NDArray[np.bool_]) -> Table:
    return {name: column[rows] for name, column in table.items()}
