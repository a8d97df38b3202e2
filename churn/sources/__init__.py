"""The sources of `params.yaml`: the kinds that there are, and what each says of itself.

Loads no library that reads; `churn.sources.received` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, Tag

from churn.sources.api_source import ApiSource
from churn.sources.database_source import DatabaseSource
from churn.sources.file_source import FileSource, NoFileError
from churn.sources.source import Source, SourceError, SourceRefused

__all__ = [
    "KINDS",
    "AnyKind",
    "ApiSource",
    "DatabaseSource",
    "FileSource",
    "NoFileError",
    "Source",
    "SourceError",
    "SourceRefused",
]

# Every kind of source. A new one is a module of its own and a line here.
KINDS: tuple[type[Source], ...] = (
    FileSource,
    DatabaseSource,
    ApiSource,
)


def _kind_of(value: Any) -> str | None:
    if isinstance(value, Source):
        return value.kind
    kinds = [one.kind for one in KINDS]
    return next((kind for kind in kinds if kind in value), None) if value else None


if TYPE_CHECKING:
    AnyKind = Source
else:
    # A source of `params.yaml`: of the kind whose key it has.
    AnyKind = Annotated[
        Union[tuple(Annotated[one, Tag(one.kind)] for one in KINDS)],  # noqa: UP007
        Discriminator(
            _kind_of,
            custom_error_type="source_kind",
            custom_error_message="a source needs one of "
            + " and ".join(", ".join(f"`{one.kind}`" for one in KINDS).rsplit(", ", 1)),
        ),
    ]
