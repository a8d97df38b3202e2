"""Papermill's notebook client, as this project needs it; the one place that overrides others' code.

Each departure has its reason, and where upstream speaks of it. Seen with papermill 2.7,
nbclient 0.11, jupyter_client 8.10, ipykernel 7.4; tests/orchestrator/engine/test_upstream.py
fails when what is overridden has changed.

- The kernel runs already, and is ended by whoever started it: Papermill has no such mode
  (nteract/papermill#326, #616), and changes the working directory of the whole process.
- The wait for the kernel ends with the first message that it publishes: the wait of
  jupyter_client ends with an idle 0.2 s (jupyter/jupyter_client#592, #593).
- What a cell prints faster than it is read is not dropped: ipykernel's socket drops what is
  beyond 1,000 waiting messages (nteract/papermill#426, nteract/nteract#4188), so it is told
  to wait instead.
- Outputs pass through `CellOutputs`, which takes out secrets and caps them, before nbclient
  puts them into the notebook.
- What an interruption left waiting in the event loop is cancelled: else it complains later.
"""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_async, ensure_event_loop, run_sync
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from orchestrator.engine.cell_outputs import join_streams
from orchestrator.engine.execution import Progress

ENGINE = "stage"  # what Papermill calls the engine below
STARTUP_LIMIT = 120  # seconds until a kernel answers

# Executed in the kernel before anyone listens; the socket belongs to the thread that publishes.
_WAIT_INSTEAD_OF_DROPPING = """exec('''
import zmq
from ipykernel.kernelapp import IPKernelApp
thread = IPKernelApp.instance().iopub_thread
thread.schedule(lambda: thread.socket.setsockopt(zmq.XPUB_NODROP, 1))
''', {})"""

_FACTS_READ = (
    "__import__('json').dumps(__import__('importlib').import_module('churn.facts').facts_read())"
)

# nbclient logs each interrupted, dead or late kernel as an error; the execution says so in
# one line.
_quiet_log = logging.getLogger(f"{__name__}.nbclient")
_quiet_log.setLevel(logging.CRITICAL)


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client in a kernel that runs already; it passes on what cells put
    out, capped and without secrets.
    """

    progress: Progress

    async def async_start_new_kernel_client(self) -> Any:
        """Connect, and wait until what the kernel publishes arrives: nbclient's own
        wait ends with an idle 0.2 s.
        """
        self.kc = self.km.client()
        self.kc.start_channels(iopub=False, stdin=False, hb=False, control=False)
        request = self.kc.execute(_WAIT_INSTEAD_OF_DROPPING, silent=True)
        await self._wait_for(
            self.kc.shell_channel, lambda msg: msg["parent_header"].get("msg_id") == request
        )
        self.kc.iopub_channel.start()
        await self._wait_for(self.kc.iopub_channel, lambda msg: True)  # its welcome
        self.progress.start_clock()
        return self.kc

    async def _wait_for(self, channel: Any, is_expected: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + STARTUP_LIMIT
        while time.monotonic() < deadline:
            try:
                if is_expected(await ensure_async(channel.get_msg(timeout=1))):
                    return
            except Empty:
                await self._async_check_alive()
                self.kc.kernel_info()  # which makes a kernel without a welcome publish something
        raise TimeoutError(f"no answer within {STARTUP_LIMIT} s")

    start_new_kernel_client = run_sync(async_start_new_kernel_client)

    def execute(self, **_: Any) -> NotebookNode:
        """Run all cells; the kernel itself is ended by the one who gave it."""
        self.reset_execution_trackers()
        try:
            self.start_new_kernel_client()
            self.papermill_execute_cells()
            reply = self.wait_for_reply(self.kc.kernel_info())
            self.nb.metadata["language_info"] = reply["content"]["language_info"]
            self.set_widgets_metadata()
            self.progress.execution.facts_read = self._ask_facts_read()
        finally:
            self._disconnect()
        return self.nb

    def _ask_facts_read(self) -> list[str] | None:
        """Ask the kernel which facts of the params file its notebook has read."""
        request = self.kc.execute("", silent=True, user_expressions={"facts": _FACTS_READ})
        answer = self.wait_for_reply(request)["content"].get("user_expressions", {})
        if answer.get("facts", {}).get("status") != "ok":  # a kernel of another language
            return None
        names: list[str] = json.loads(ast.literal_eval(answer["facts"]["data"]["text/plain"]))
        return names

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Let an output pass through what cleans and caps it, before nbclient keeps it."""
        content, outputs, kind = msg["content"], self.progress.outputs, msg["msg_type"]
        if outputs and kind == "stream":
            content["text"] = outputs.take_text(content["name"], content["text"])
        elif outputs and kind in ("display_data", "execute_result", "update_display_data"):
            content["data"] = outputs.take_data(
                content["data"], is_update=kind == "update_display_data"
            )
        elif outputs and kind == "error":
            msg["content"] = outputs.take_error(content)
        elif outputs and kind == "clear_output":
            outputs.clear()
        if kind != "status":
            self.progress.note_change()
        if kind == "stream" and not content["text"]:
            return None
        return super().process_message(msg, cell, cell_index)

    def output(self, outs: list[NotebookNode], *args: Any) -> NotebookNode | None:
        """Add an output to those of a cell, and join what it printed in pieces."""
        added = super().output(outs, *args)
        join_streams(outs)
        return added

    def _disconnect(self) -> None:
        """Drop what an interruption left waiting, which else would wake up, and
        complain, when the loop runs again.
        """
        loop = ensure_event_loop()
        left = [] if loop.is_running() else asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=1))
        if self.kc is not None:
            self.kc.shell_channel.stop()
            self.kc.iopub_channel.stop()
            self.kc = None


class _StageEngine(NBClientEngine):  # type: ignore[misc]
    """Papermill's engine in a kernel that is given, where Papermill would change the
    whole process's directory.
    """

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        progress: Progress,
        manager: AsyncKernelManager,
        **_: Any,
    ) -> None:
        client = Client(
            nb_man,
            km=manager,
            kernel_name=kernel_name,
            log=_quiet_log,
            timeout_func=progress.seconds_left,
            iopub_timeout=round(progress.time_limit) + 60,  # much output takes long to read
            on_cell_start=progress.start_cell,
            on_cell_executed=progress.finish_cell,
        )
        client.progress = progress
        client.execute()


papermill_engines.register(ENGINE, _StageEngine)
