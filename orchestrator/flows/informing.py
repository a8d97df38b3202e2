"""What only informs, artifacts for example, is told to Prefect by a thread of its own: it never
holds up or fails a stage, however long the server takes.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from orchestrator.flows.prefect_client import is_away
from orchestrator.lineage.events import Emitter

_log = logging.getLogger(__name__)

_MOST_KEPT = 500  # what a server that is away for long has missed; the oldest is dropped

_Call = Callable[[], Any]


class Informer:
    """Calls functions in order, in one thread. What fails is kept, and tried again when there
    is something new, or at the end.
    """

    def __init__(self) -> None:
        self._new: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._kept: deque[_Call] = deque(maxlen=_MOST_KEPT)
        self._thread = threading.Thread(target=self._work, name="informer", daemon=True)
        self._thread.start()

    def tell(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call a function soon, in the context of the run that it is called from."""
        context = contextvars.copy_context()
        self._new.put(lambda: context.run(_try_once, function, *args, **kwargs))

    def close(self, seconds: float) -> int:
        """Try for so long to tell what is left; return how much could not be told."""
        self._new.put(None)
        self._thread.join(seconds)
        return len(self._kept) + self._new.qsize()

    def _work(self) -> None:
        while (call := self._new.get()) is not None:
            self._kept.append(call)
            self._tell_kept()
        self._tell_kept()

    def _tell_kept(self) -> None:
        while self._kept:
            try:
                self._kept[0]()
            except httpx.HTTPError as error:
                if is_away(error):
                    return
            except Exception:  # no second try would mend it, and nothing depends on it
                _log.debug("Prefect could not be told", exc_info=True)
            self._kept.popleft()


def _try_once(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        function(*args, **kwargs)


@dataclass(frozen=True)
class Followers:
    """Whoever follows a run: those who read its OpenLineage events, and Prefect's UI."""

    events: Emitter
    prefect: Informer
