"""A source that is a paged REST API: what `params.yaml` says of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from churn.facts import MAY_HOLD_CREDENTIALS, Facts
from churn.sources.source import BasicAuth, BearerAuth, Source


class PageNumber(Facts):
    """Pages are asked for by number, until an empty page or the total number of pages."""

    kind: Literal["page_number"]
    param: str = "page"
    first: int = 1
    size_param: str | None = None
    size: int = 500
    total_pages: str | None = Field(
        None, description="JSON path of the number of pages, such as `meta.pages`"
    )


class Offset(Facts):
    """Pages are asked for by the number of records to skip."""

    kind: Literal["offset"]
    param: str = "offset"
    size_param: str = "limit"
    size: int = 500
    total: str | None = Field(
        None, description="JSON path of the number of records, such as `meta.total`"
    )


class Cursor(Facts):
    """Each page names the cursor of the next."""

    kind: Literal["cursor"]
    param: str = "cursor"
    cursor: str = Field("next_cursor", description="JSON path of the next cursor")
    size_param: str | None = None
    size: int = 500


class NextLink(Facts):
    """Each page links to the next, in its body or in the HTTP `Link` header."""

    kind: Literal["next_link"]
    link: str | None = Field(
        None, description="JSON path of the next address; absent: the `Link` header"
    )


class ApiSource(Source):
    """A paged REST API that answers in JSON."""

    kind = "api"
    reader = "churn.sources.api_reader"

    api: Annotated[str, MAY_HOLD_CREDENTIALS]
    records: str = Field(
        "$",
        description="JSON path of the list of records, such as `data.items`; `$`: the whole body",
    )
    paging: (
        Annotated[PageNumber | Offset | Cursor | NextLink, Field(discriminator="kind")] | None
    ) = None
    auth: Annotated[BearerAuth | BasicAuth | None, MAY_HOLD_CREDENTIALS] = None
    query: Annotated[dict[str, str | int], MAY_HOLD_CREDENTIALS] = Field(
        {}, description="parameters of each request"
    )
    headers: Annotated[dict[str, str], MAY_HOLD_CREDENTIALS] = Field(
        {}, description="headers of each request"
    )
    retries: int = Field(4, ge=0, le=20, description="further tries after a failure that may pass")
    timeout_seconds: float = Field(30, gt=0)
    max_pages: int = Field(100_000, ge=1, description="more pages than this are taken for a loop")

    @property
    def addresses(self) -> list[str]:
        """The address that is asked."""
        return [self.api]
