"""The accepted state of a data set, in `data/accepted/<data set>/`: what is normal, as runs and analysts keep it.

Needs no pandas: the notebooks use it, and the command line.
"""

from .changes import describe_changes
from .files import (
    read_importance,
    read_profile,
    read_schema,
    render_profile,
    render_schema,
    write_importance,
    write_new,
)
from .schema import (
    FOLDER,
    IMPORTANCE,
    OFFER_TYPE,
    PROFILE,
    SCHEMA,
    Accepted,
    AcceptedColumn,
    AcceptedError,
    AcceptedTable,
    Tolerance,
    slug,
)

__all__ = [
    "FOLDER",
    "IMPORTANCE",
    "OFFER_TYPE",
    "PROFILE",
    "SCHEMA",
    "Accepted",
    "AcceptedColumn",
    "AcceptedError",
    "AcceptedTable",
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
