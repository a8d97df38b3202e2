"""What the tests of formats and of drafts share."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.drafts import Drafting, make_drafting


@pytest.fixture
def draft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Drafting:
    """Drafts from what it is given."""
    return make_drafting(tmp_path, capsys)
