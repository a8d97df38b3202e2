"""Words of a name, and the spellings of a value."""

from __future__ import annotations

from churn.vocabulary import find_abbreviations, find_spellings, plain


def test_spellings() -> None:
    """Cases, spaces, hyphens and accents make no other value; signs do, and so do
    single letters among many.
    """
    counts = dict.fromkeys(
        [
            "Month-to-month",
            "month to month",
            "A+",
            "A-",
            "Zürich",
            "zurich",
            "-1",
            "1",
            "<30",
            ">30",
        ],
        1,
    )
    assert find_spellings(counts) == {"month to month": "Month-to-month", "zurich": "Zürich"}
    assert find_spellings({"Y": 5, "y": 2, "n": 3}) == {"y": "Y"}
    assert find_spellings(dict.fromkeys("aAbBc", 1)) == {}
    assert find_spellings({"0.0": 8, "1.0": 5, "1": 3, "0": 2, "01": 1}) == {"1": "1.0", "0": "0.0"}
    said = {"No": 9, "Yes": 8, "yes": 3, "y": 2, "Y": 2, "N": 1, "1": 1, "Total": 1}
    assert find_spellings(said) == {"yes": "Yes", "y": "Yes", "Y": "Yes", "1": "Yes", "N": "No"}
    assert find_spellings({"Yes": 3, "No": 2, "Y": 1, "y": 1}) == {"Y": "Yes", "y": "Yes"}
    assert find_spellings({"A": 3, "N": 2, "S": 1}) == {}
    assert find_abbreviations(["COD", "Cash on Delivery", "FRA", "France", "No"]) == [
        ("COD", "Cash on Delivery"),
        ("FRA", "France"),
    ]


def test_words_of_a_name() -> None:
    """Names come apart at capitals, digits stay, accents go."""
    assert plain("Kündigungs_Datum") == "kundigungs datum"
    assert plain("customerID") == "customer id"
    assert plain("NumOfProducts") == "num of products"
    assert plain("Łódź-Straße") == "lodz strasse"
