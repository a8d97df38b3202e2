"""One notebook -> one report: executes a parameterized notebook through Papermill and says truly what happened."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_async, ensure_event_loop, run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.parameterize import parameterize_notebook

from orchestrator.execution import Execution
from orchestrator.kernels import KERNEL_NAME, kernel_for
from orchestrator.outputs import join_streams
from orchestrator.progress import EndedEarlyError, Listener, Progress
from orchestrator.redaction import Redactor

SUMMARY_TYPE = "application/vnd.churn.summary+json"  # written by notebooks/stagekit.py
STARTUP_LIMIT = 120  # seconds until a kernel answers
MESSAGES_WAITING = 100_000  # beyond ZeroMQ's own 1,000, it drops what a cell prints faster than it is read

# Executed in the kernel before anyone listens: its socket keeps as many messages waiting as ours, which it learns only
# when it is bound anew. A dropped message is lost output, or a cell that seems never to end.
_WIDEN = f"""exec('''
import threading
from ipykernel.kernelapp import IPKernelApp

def widen():
    try:
        address = thread.socket.last_endpoint
        thread.socket.unbind(address)
        thread.socket.sndhwm = {MESSAGES_WAITING}
        thread.socket.bind(address)
    finally:
        done.set()

thread, done = IPKernelApp.instance().iopub_thread, threading.Event()
thread.schedule(widen)
done.wait(5)
''', {{}})"""

# nbclient and asyncio log each interrupted, dead or late kernel as an error; the execution says so in one line.
_log = logging.getLogger(__name__)
_quiet_log = logging.getLogger(f"{__name__}.nbclient")
_quiet_log.setLevel(logging.CRITICAL)


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client in a kernel that runs already; it passes on what cells put out, capped and without secrets."""

    progress: Progress

    async def async_start_new_kernel_client(self) -> Any:
        """Connect, and wait until what the kernel publishes arrives: nbclient's own wait ends with an idle 0.2 s."""
        self.kc = self.km.client()
        self.kc.context.rcvhwm = MESSAGES_WAITING
        self.kc.start_channels(iopub=False, stdin=False, hb=False, control=False)
        request = self.kc.execute(_WIDEN, silent=True)
        await self._wait_for(self.kc.shell_channel, lambda msg: msg["parent_header"].get("msg_id") == request)
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
        finally:
            self._disconnect()
        return self.nb

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        content, outputs, kind = msg["content"], self.progress.outputs, msg["msg_type"]
        if outputs and kind == "stream":
            content["text"] = outputs.take_text(content["name"], content["text"])
        elif outputs and kind in ("display_data", "execute_result", "update_display_data"):
            content["data"] = outputs.take_data(content["data"], is_update=kind == "update_display_data")
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
        added = super().output(outs, *args)
        join_streams(outs)
        return added

    def _disconnect(self) -> None:
        """Drop what an interruption left waiting, which else would wake up, and complain, when the loop runs again."""
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
    """Papermill's engine in a kernel that is given, where Papermill would change the whole process's directory."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, progress: Progress, manager: AsyncKernelManager, **_: Any
    ) -> None:
        client = _Client(
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


papermill_engines.register("stage", _StageEngine)


def execute_notebook(
    path: Path,
    content: bytes,
    parameters: dict[str, Any],
    *,
    time_limit: float,
    listener: Listener,
    redactor: Redactor,
    beside: Path,
    save: Callable[[Execution], None],
    skipped: str = "",
) -> Execution:
    """Run a notebook in a kernel of its own, in the folder of `path`, from which `content` was read.

    `time_limit` in seconds is for all cells. `save` is called with the execution so far, about a second
    after each change; the whole text of capped outputs is written beside the path `beside`, under its name. Code cells
    tagged `skipped` are shown as text, and not executed.

    Never raises for what a cell does: the execution says how the notebook ended, an interruption too.
    """
    execution = Execution(_read_notebook(content))
    if skipped:
        _set_aside(execution.notebook, skipped)
    progress = Progress(execution, beside, listener, redactor, time_limit, save)
    try:
        if parameters:
            execution.notebook = parameterize_notebook(execution.notebook, parameters, kernel_name=KERNEL_NAME)
        progress.save_now()
        _run_cells(path, progress)
    except BaseException as error:
        _record_end(progress, error)
    progress.stop_saving()
    progress.finish_outputs()
    redactor.clean_outputs(execution.notebook)
    if execution.status == "running":
        execution.status = "completed"
    _read_results(execution)
    return execution


def _set_aside(notebook: NotebookNode, tag: str) -> None:
    """Turn the code cells with a tag into text that says so."""
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and tag in cell.metadata.tags:
            source = f"*For {tag} only; not executed here:*\n\n```python\n{cell.source}\n```"
            notebook.cells[place] = new_markdown_cell(source, id=cell.id, metadata=cell.metadata)


def _run_cells(path: Path, progress: Progress) -> None:
    ensure_event_loop().set_exception_handler(_log_quietly)
    with kernel_for(path) as manager:
        papermill_engines.execute_notebook_with_engine(
            "stage",
            progress.execution.notebook,
            KERNEL_NAME,
            progress=progress,
            manager=manager,
            progress_bar=False,
            autosave_cell_every=0,
        )


def _log_quietly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keep the tasks that an interruption broke off out of the log."""
    _log.debug("%s", context["message"], exc_info=context.get("exception"))


def _record_end(progress: Progress, error: BaseException) -> None:
    """Put down why the cells did not all run."""
    execution = progress.execution
    if execution.status != "running":  # a cell has failed already, and says more than what came after it
        execution.interruption = None if isinstance(error, Exception) else error
        return
    name, message = type(error).__name__, progress.redactor.clean(f"{type(error).__name__}: {error}")
    if not isinstance(error, Exception):  # Ctrl-C, or SIGTERM in one of its shapes
        execution.interruption = error
        execution.fail("interrupted", name, "interrupted from outside")
    elif isinstance(error, EndedEarlyError):
        execution.fail("failed", "SystemExit", "the cell ended Python")
    elif isinstance(error, CellTimeoutError):
        execution.fail("timed_out", name, f"the stage passed its time limit, {progress.time_limit:g} s")
    elif not progress.kernel_answered:
        execution.fail("failed", "KernelNotStarted", f"the kernel did not start ({message})")
    elif isinstance(error, DeadKernelError):
        execution.fail("failed", name, "the kernel died (likely out of memory)")
    else:  # the kernel spoke nonsense: a failure like another, with a report
        execution.fail("failed", name, message)


def _read_notebook(content: bytes) -> NotebookNode:
    """Parse a notebook, with the metadata that Papermill expects to find."""
    notebook = nbformat.reads(content.decode(), as_version=4)
    notebook = nbformat.v4.upgrade(notebook) or notebook
    notebook.metadata.setdefault("papermill", NotebookNode())
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
        cell.metadata.setdefault("papermill", NotebookNode())
        if cell.cell_type == "code":  # of an earlier execution
            cell.outputs, cell.execution_count = [], None
    return notebook


def _read_results(execution: Execution) -> None:
    """Take over what the last summary cell recorded; JSON has no NaN, and the record takes only numbers and texts."""
    summaries = (
        output.data[SUMMARY_TYPE]
        for cell in reversed(execution.notebook.cells)
        for output in cell.get("outputs", [])
        if SUMMARY_TYPE in output.get("data", {})
    )
    summary = dict(next(summaries, {}))
    execution.results = {name: value for name, value in summary.items() if isinstance(value, (int, float, str))}
    for name in summary.keys() - execution.results.keys():
        execution.warnings.append(f"the summary's {name} is {summary[name]!r}, neither number nor text; left out")
