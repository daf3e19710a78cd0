"""Stores that may never answer: a dead disk or an NFS server that is gone holds whoever reads for ever.

What touches such a store goes in a thread that is left behind; the caller goes on without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeVar

from workers.storage.store import StoreAway

T = TypeVar("T")

CHECK_S: Final = 20.0
"""A look that has not ended by then: the store does not answer."""
SILENT_S: Final = 1.0
"""The same where the last look has not ended in time either: a dead server ends some by an error, for the
next one to hang, and a win has only seconds for the stores that are well."""
COPY_S: Final = 600.0
"""The same of a copy into it, since its last bytes."""
CHECK_AGAIN_S: Final = 0.5
"""Between two looks at the clock."""

_hanging: dict[tuple[str, str], threading.Thread] = {}
"""By path and work: the thread that was left behind there; while it hangs nobody follows it."""
_silent: Final[set[tuple[str, str]]] = set()
"""The same of which no look has ended well since one was left behind."""


def answered(
    path: str, work: Callable[[Callable[[], None]], T], *, patience_s: float | None = None, what: str = ""
) -> T:
    """Return what `work` gives, as long as it ends or calls what it is given often enough.

    `what` names work that a second disk may hold up: looks at the path go on beside it.  Raises StoreAway,
    and whatever `work` raises.
    """
    key = (path, what)
    patience = (SILENT_S if key in _silent else CHECK_S) if patience_s is None else patience_s
    left = _hanging.get(key)
    if left is not None and left.is_alive():
        raise _away(path)
    heard = [monotonic()]
    results: list[T] = []
    errors: list[BaseException] = []

    def beat() -> None:
        heard[0] = monotonic()

    def run() -> None:
        try:
            results.append(work(beat))
            _silent.discard(key)
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name=f"store {path}"[:60], daemon=True)
    thread.start()
    while thread.is_alive():
        wait = heard[0] + patience - monotonic()
        if wait <= 0:
            _hanging[key] = thread
            _silent.add(key)
            raise _away(path)
        thread.join(min(wait, CHECK_AGAIN_S))
    _hanging.pop(key, None)
    if errors:
        raise errors[0]
    return results[0]


def _away(path: str) -> StoreAway:
    return StoreAway(f"{path} does not answer: check its disk or its server")
