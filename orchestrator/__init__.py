"""Runs the stage notebooks, records what happened and renders it."""

import sys

from churn.checkout import code_at_hand

__path__ = code_at_hand("orchestrator", __path__)  # as in churn/__init__.py

# Where this package is installed, `jsonschema` builds a grammar of internationalised
# addresses when it is imported: one of the three seconds of Prefect's import. Without
# it any text passes for an `iri` in a schema; nothing here has one.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
# The same for `duration`, for which it loads a library of time zones and languages:
# 0.08 s of each quick command.
sys.modules.setdefault("isoduration", None)  # type: ignore[arg-type]
