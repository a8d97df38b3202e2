"""How the sample company's customers behave: who they are, what they buy, what they pay
and when they leave.

Everything is drawn in blocks of `BLOCK` customers. A block is made from the seed and
its own number alone, so that no block depends on how many customers there are, on the
machine or on what was drawn before.

Leaving is a hazard, one rate for every customer and calendar month of the window (Cox,
1972, "Regression models and life-tables"): `LEAVING` holds the logarithms of the hazard
ratios. A contract ends in the first month in which the customer's cumulated hazard
exceeds an exponential draw of mean 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 25_000
MONTHS = 24
WINDOW_START = np.datetime64("2024-01-01", "D")
WINDOW_END = np.datetime64("2025-12-31", "D")
EARLIEST_BEGIN = np.datetime64("2018-01-01", "D")
DAYS_A_MONTH = 30.4375
ACTIVE = np.datetime64("NaT", "D")

TYPES = ("Month-to-month", "One year", "Two year")
PAYMENTS = (
    "Electronic check",
    "Mailed check",
    "Bank transfer (automatic)",
    "Credit card (automatic)",
)
NETS = ("none", "DSL", "Fiber optic")
ADDONS = (
    "OnlineSecurity",
    "OnlineBackup",
    "DeviceProtection",
    "TechSupport",
    "StreamingTV",
    "StreamingMovies",
)

# Who buys what, by kind of internet line (in the order of `NETS`); prices in dollars a month.
SHARE_OF_NETS = (0.24, 0.38, 0.38)
SHARE_OF_NETS_OF_NEW = (0.16, 0.29, 0.55)  # who came within the window: fiber is new
SHARE_BEGUN_BEFORE_WINDOW = 0.50
SHARE_OF_STEADY_BEGINS = 0.15  # of those within the window; the rest grows with time from nothing
PAYMENTS_OF_NET = ((0.08, 0.48, 0.22, 0.22), (0.28, 0.25, 0.23, 0.24), (0.52, 0.08, 0.21, 0.19))
PHONE_OF_NET = (1.0, 0.72, 1.0)
LINES_OF_NET = (0.22, 0.40, 0.62)
PAPERLESS_OF_NET = (0.29, 0.55, 0.77)
PRICE_OF_NET = (0.0, 25.0, 50.0)
PRICE_OF_PHONE, PRICE_OF_LINES = 20.0, 5.0
PRICE_OF_ADDON = (5.0, 5.0, 5.0, 5.0, 10.0, 10.0)

# Logarithms of hazard ratios, tuned together: at 2025-10-01, over 92 days, 16 to 19 %
# of 7,000 customers leave and a logistic regression with splines reaches an AUC of
# 0.84, with a standard deviation of 0.01 over seeds.
LEAVING = {
    "base": -2.10,  # a new month-to-month DSL customer in the middle of the window
    "tenure": -0.55,  # times log(1 + months / 3), month-to-month only
    "fiber": 1.40,
    "no internet": -1.10,
    "price": 0.01,  # for each dollar above MEAN_PRICE
    "security": -0.65,
    "support": -0.65,
    "electronic check": 0.90,
    "paperless": 0.40,
    "senior": 0.40,
    "partner": -0.15,
    "dependents": -0.50,
    "noise": 0.60,  # standard deviation of what nobody knows of a customer
    "early, one year": -5.50,  # in months without renewal
    "early, two year": -7.00,
    "at renewal, one year": -0.60,  # in the month of renewal
    "at renewal, two year": -1.00,
    "market, a year": 2.00,  # competition grows: leaving becomes easier over the window
}
MEAN_PRICE = 65.0
# Added to the logarithm in these calendar months: contracts are compared before and
# after the turn of the year.
SEASON = {1: 0.10, 10: 0.20, 11: 0.35, 12: 0.35}
# Many signed their present contract some months after they came, so that it renews on
# the same day of another month. If all renewed on anniversaries of their first day,
# trees would read it off the tenure and reach an AUC of 0.89.
SHARE_OF_LATER_SIGNED = 0.75
SHARE_ENDED_ON_RENEWAL_DAY = 0.9

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Days = NDArray[Any]


@dataclass(frozen=True)
class Customers:
    """Some customers, one entry of each array a customer; `addons` is (customers, 6) in
    the order of `ADDONS`.

    `begin` and `end` are days, `end` is NaT while the contract runs; `charge` and
    `total` are cents. `net`, `type` and `payment` are positions in `NETS`, `TYPES` and
    `PAYMENTS`.
    """

    begin: Days
    end: Days
    type: Ints
    payment: Ints
    paperless: Bools
    charge: Ints
    total: Ints
    female: Bools
    senior: Bools
    partner: Bools
    dependents: Bools
    net: Ints
    addons: Bools
    phone: Bools
    lines: Bools


def draw_customers(seed: int, block: int) -> Customers:
    """Draw the `BLOCK` customers of one block, before any dirt."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(block, 0)))
    begin = _draw_begin(rng)
    tenure = np.maximum((WINDOW_START - begin).astype(np.int64), 0) / 365.25
    person = _draw_person(rng)
    bought = _draw_services(rng, tenure)
    charge = _price(rng, bought)
    log_hazard = _log_hazard(person, bought, charge) + LEAVING["noise"] * rng.standard_normal(BLOCK)
    end = _draw_end(rng, begin, bought["type"], log_hazard)
    total = _total(rng, begin, end, charge)
    return Customers(begin=begin, end=end, charge=charge, total=total, **person, **bought)


def _draw_begin(rng: np.random.Generator) -> Days:
    """Draw first days: part of the base began before the window, the rest spread over
    it, more of them later on.
    """
    before = (WINDOW_START - EARLIEST_BEGIN).astype(np.int64)
    within = (WINDOW_END - WINDOW_START).astype(np.int64)
    share = rng.random(BLOCK)
    old = rng.random(BLOCK) < SHARE_BEGUN_BEFORE_WINDOW
    growing = np.where(rng.random(BLOCK) < SHARE_OF_STEADY_BEGINS, share, share**0.5)
    days = np.where(old, -np.ceil(before * share**1.3), np.floor(within * growing))
    return WINDOW_START + np.clip(days, -before, within - 1).astype("timedelta64[D]")


def _draw_person(rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    partner = rng.random(BLOCK) < 0.48
    return {
        "female": rng.random(BLOCK) < 0.495,
        "senior": rng.random(BLOCK) < 0.16,
        "partner": partner,
        "dependents": rng.random(BLOCK) < np.where(partner, 0.50, 0.09),
    }


def _draw_services(rng: np.random.Generator, tenure: Floats) -> dict[str, NDArray[Any]]:
    """Draw what is bought; those who have stayed for long (`tenure`, years) hold longer
    contracts and more add-ons.
    """
    net = _choose(rng, np.where(tenure[:, None] > 0, SHARE_OF_NETS, SHARE_OF_NETS_OF_NEW))
    fiber, none = net == 2, net == 0
    scores = np.column_stack(
        [1.4 + 0.55 * fiber - 0.2 * tenure, np.zeros(BLOCK), -0.7 + 0.35 * tenure + 0.6 * none]
    )
    contract = _choose(rng, np.exp(scores))
    wish = -0.75 + 0.15 * tenure + 0.25 * contract
    wishes = np.column_stack(
        [wish - 0.5 * fiber, wish, wish, wish - 0.4 * fiber, wish + 0.4, wish + 0.4]
    )
    addons = rng.random((BLOCK, len(ADDONS))) < 1 / (1 + np.exp(-wishes))
    phone = rng.random(BLOCK) < np.take(PHONE_OF_NET, net)
    return {
        "net": net,
        "type": contract,
        "addons": addons & ~none[:, None],
        "phone": phone,
        "lines": phone & (rng.random(BLOCK) < np.take(LINES_OF_NET, net)),
        "payment": _choose(rng, np.take(PAYMENTS_OF_NET, net, axis=0)),
        "paperless": rng.random(BLOCK) < np.take(PAPERLESS_OF_NET, net),
    }


def _choose(rng: np.random.Generator, weights: Floats) -> Ints:
    """Draw one column number for each row of `weights`, with probabilities proportional to
    the row.
    """
    reached = np.cumsum(weights, axis=1)
    draw = rng.random((len(weights), 1)) * reached[:, -1:]
    return np.asarray((draw >= reached[:, :-1]).sum(axis=1), dtype=np.int64)


def _price(rng: np.random.Generator, bought: dict[str, NDArray[Any]]) -> Ints:
    """Monthly charge in cents: the sum of what is bought, times a personal deviation of
    some percent.
    """
    listed = (
        np.take(PRICE_OF_NET, bought["net"])
        + PRICE_OF_PHONE * bought["phone"]
        + PRICE_OF_LINES * bought["lines"]
        + bought["addons"] @ np.array(PRICE_OF_ADDON)
    )
    return np.asarray(np.rint(listed * rng.normal(1.0, 0.03, BLOCK) * 20) * 5, dtype=np.int64)


def _log_hazard(
    person: dict[str, NDArray[Any]], bought: dict[str, NDArray[Any]], charge: Ints
) -> Floats:
    """Sum the effects that do not change over the months."""
    has = dict(zip(ADDONS, bought["addons"].T, strict=True))
    present = {
        "fiber": bought["net"] == 2,
        "no internet": bought["net"] == 0,
        "price": charge / 100 - MEAN_PRICE,
        "security": has["OnlineSecurity"],
        "support": has["TechSupport"],
        "electronic check": bought["payment"] == 0,
        "paperless": bought["paperless"],
        "senior": person["senior"],
        "partner": person["partner"],
        "dependents": person["dependents"],
    }
    effects = [LEAVING[name] * value for name, value in present.items()]
    return np.asarray(LEAVING["base"] + np.sum(effects, axis=0), dtype=np.float64)


def _draw_end(rng: np.random.Generator, begin: Days, contract: Ints, log_hazard: Floats) -> Days:
    """Draw last days within the window, NaT for contracts that outlive it."""
    first = WINDOW_START.astype("datetime64[M]") + np.arange(MONTHS)
    length = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    begun = begin.astype("datetime64[M]")
    months = (first[None, :] - begun[:, None]).astype(np.int64)
    day = (begin - begun.astype("datetime64[D]")).astype(np.int64)
    exposed = np.where(months == 0, length - 1 - day[:, None], length) * (months >= 0)
    renews = _draw_renewals(rng, months, contract)
    rate = _rates(months, contract, renews, first) * np.exp(log_hazard)[:, None] * exposed / length
    left = np.cumsum(rate, axis=1) >= rng.standard_exponential(BLOCK)[:, None]
    month = left.argmax(axis=1)
    here = np.arange(BLOCK), month
    any_day = np.where(months[here] == 0, day + 1, 0) + np.floor(
        rng.random(BLOCK) * exposed[here]
    ).astype(np.int64)
    on_renewal = renews[here] & (rng.random(BLOCK) < SHARE_ENDED_ON_RENEWAL_DAY)
    last = np.where(on_renewal, np.minimum(day, length[month] - 1), any_day)
    return np.where(left.any(axis=1), first[month].astype("datetime64[D]") + last, ACTIVE)


def _draw_renewals(rng: np.random.Generator, months: Ints, contract: Ints) -> Bools:
    """Draw in which months, (customers, months), contracts renew; `months` count from
    the customer's first.
    """
    signed = np.where(rng.random(BLOCK) < SHARE_OF_LATER_SIGNED, rng.integers(1, 12, BLOCK), 0)[
        :, None
    ]
    term = 12 * np.maximum(contract, 1)[:, None]
    return np.asarray(
        (contract > 0)[:, None] & (months > signed) & ((months - signed) % term == 0),
        dtype=np.bool_,
    )


def _rates(months: Ints, contract: Ints, renews: Bools, first: NDArray[Any]) -> Floats:
    """Hazard ratios of each customer and month, (customers, months): tenure, term of
    the contract, season, market.
    """
    early = np.array([0.0, LEAVING["early, one year"], LEAVING["early, two year"]])
    renewing = np.array([0.0, LEAVING["at renewal, one year"], LEAVING["at renewal, two year"]])
    term = np.where(renews, renewing[contract][:, None], early[contract][:, None])
    ageing = np.where(contract == 0, LEAVING["tenure"], 0.0)[:, None] * np.log1p(
        np.maximum(months, 0) / 3
    )
    season = np.array([SEASON.get(month.month, 0.0) for month in first.tolist()])
    market = LEAVING["market, a year"] * (np.arange(MONTHS) - MONTHS / 2) / 12
    return np.asarray(np.exp(term + ageing + season + market), dtype=np.float64)


def _total(rng: np.random.Generator, begin: Days, end: Days, charge: Ints) -> Ints:
    """Cents charged until the contract's end or the window's: at least one month, some
    percent of noise.
    """
    until = np.where(np.isnat(end), WINDOW_END, end)
    months = np.maximum(np.ceil((until - begin).astype(np.int64) / DAYS_A_MONTH), 1)
    noise = np.where(months > 1, rng.normal(1.0, 0.02, BLOCK), 1.0)
    return np.asarray(np.rint(charge * months * noise / 5) * 5, dtype=np.int64)
