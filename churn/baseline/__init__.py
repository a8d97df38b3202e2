"""The baseline of a data set, in `data/accepted/<data set>/`: what was accepted as normal, as
runs and analysts keep it.

Needs no pandas: the notebooks use it, and the command line.
"""

from churn.baseline.changes import describe_changes
from churn.baseline.persistence import (
    Baseline,
    read_importance,
    read_profile,
    read_schema,
    render_profile,
    render_schema,
    write_importance,
    write_new,
)
from churn.baseline.schema import (
    FOLDER,
    IMPORTANCE,
    OFFER_TYPE,
    PROFILE,
    SCHEMA,
    BaselineColumn,
    BaselineError,
    BaselineSchema,
    BaselineTable,
    Tolerance,
    slug,
)

__all__ = [
    "FOLDER",
    "IMPORTANCE",
    "OFFER_TYPE",
    "PROFILE",
    "SCHEMA",
    "Baseline",
    "BaselineColumn",
    "BaselineError",
    "BaselineSchema",
    "BaselineTable",
    "Tolerance",
    "describe_changes",
    "read_importance",
    "read_profile",
    "read_schema",
    "render_profile",
    "render_schema",
    "slug",
    "write_importance",
    "write_new",
]
