"""Keeps the values of secret environment variables out of everything that a run writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nbformat import NotebookNode

from notebooks.params import Params, variables


@dataclass(frozen=True)
class Redactor:
    """Replaces each secret text by the name of its variable: `***CRM_PASSWORD***`."""

    secrets: Mapping[str, str]

    def clean(self, text: str) -> str:
        """Return the text without secrets."""
        for secret, name in self.secrets.items():
            text = text.replace(secret, f"***{name}***")
        return text

    def clean_tree(self, value: Any) -> Any:
        """Return a JSON-like value with all its texts cleaned, keys too."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, list):
            return [self.clean_tree(item) for item in value]
        if isinstance(value, dict):
            return {self.clean(key): self.clean_tree(item) for key, item in value.items()}
        return value

    def clean_outputs(self, notebook: NotebookNode) -> None:
        """Clean the outputs of all cells, in place."""
        for cell in notebook.cells:
            if self.secrets and cell.get("outputs"):
                cell.outputs = [NotebookNode(**self.clean_tree(output)) for output in cell.outputs]


def redactor_for(params: Params, environment: Mapping[str, str] = os.environ) -> Redactor:
    """Return the redactor of the secrets that a params file names, as they are and as they look inside an address."""
    secrets: dict[str, str] = {}
    for name, is_secret in variables(params).items():
        value = environment.get(name, "")
        if is_secret and value:
            secrets |= dict.fromkeys((value, quote(value, safe="")), name)
    return Redactor(dict(sorted(secrets.items(), key=lambda item: -len(item[0]))))
