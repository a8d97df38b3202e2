"""What the summaries of notebooks hold: what the record, the pages and other stages rely on.

A notebook records its results with `Stage.summarize`; whatever it records stands in the
run's record. The results named here are read by name. Needs no pandas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

SUMMARY_TYPE = "application/vnd.churn.summary+json"  # of the output that holds the results

Result = float | int | str
Results = Mapping[str, Result]


@dataclass(frozen=True)
class _Told:
    """Results that belong together; those without a default are never left out."""

    @classmethod
    def of(cls, results: Results) -> Self | None:
        """Return what a stage recorded; nothing where a result is left out."""
        known = {one.name: results[one.name] for one in fields(cls) if one.name in results}
        try:
            return cls(**known)
        except TypeError:
            return None


@dataclass(frozen=True)
class RegisteredModel(_Told):
    """What model building tells of the model that it logged to MLflow and registered."""

    mlflow_run_id: str
    registered_model: str = ""
    model_version: int = 0
    model_sha256: str = ""
    promotion: str = ""  # what the promotion gate decided, in words

    @property
    def name(self) -> str:
        """The version as people write it, `churn/3`; empty where none was registered."""
        return f"{self.registered_model}/{self.model_version}" if self.model_version else ""

    @property
    def address(self) -> str:
        """The version's address in MLflow, `models:/churn/3`; empty where there is none."""
        return f"models:/{self.name}" if self.name else ""


@dataclass(frozen=True)
class ScoredCustomers(_Told):
    """What scoring tells of the customers that it scored."""

    customers: int
    customer_id: str  # the column that names them
    as_of: str  # the days of their snapshots, or `none`
    scored_with: str  # the model's address
    to_contact: int
    contact_rule: str
    features_moved: int  # since training
    written: str  # how many rows, and where to
    scores_sha256: str  # of the file that is kept for `churn evaluate`; empty outside of a run
