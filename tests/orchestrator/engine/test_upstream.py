"""What this project overrides in others' code is still what it was when it was overridden."""

from __future__ import annotations

import hashlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient.client import NotebookClient
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine
from prefect.runner import Runner

# Function -> the SHA-256 of its source, with the versions that are pinned now. Where one
# differs, read what changed upstream, see whether the override beside it is still right or
# still needed, and only then renew the number.
SEEN: dict[Callable[..., Any], str] = {
    NotebookClient.async_start_new_kernel_client: "0034f6fd2447b05f",
    NotebookClient.process_message: "e345991e03a03272",
    NotebookClient.output: "8ac7ba61fc598f51",
    NotebookClient._async_check_alive: "1fc300d561d9dd8f",
    PapermillNotebookClient.execute: "90490e78ff6ca002",
    PapermillNotebookClient.papermill_execute_cells: "c091023cd98e738a",
    NBClientEngine.execute_managed_notebook: "5db3562c458aeaaa",
    LocalProvisioner.launch_kernel: "5a5d3e639018fd53",
    LocalProvisioner.wait: "4f17103ed4cb9bd3",
    Runner.handle_sigterm: "adf5894c73dd05c1",
}


@pytest.mark.parametrize("function", SEEN, ids=lambda function: function.__qualname__)
def test_an_overridden_function_is_as_it_was_when_it_was_overridden(
    function: Callable[..., Any],
) -> None:
    """The source of each function that is overridden has not changed upstream."""
    source = inspect.getsource(function)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == SEEN[function]


def test_jsonschema_does_without_what_takes_long_to_import() -> None:
    """Two packages that `jsonschema` tries to import are kept from it; it works all the same."""
    code = (
        "import orchestrator, jsonschema, sys; "
        "jsonschema.Draft202012Validator({'format': 'duration'}).validate('P1D'); "
        "print([name for name in ('lark', 'arrow', 'isoduration') if sys.modules.get(name)])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
