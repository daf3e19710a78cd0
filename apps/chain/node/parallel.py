"""Questions to the node for many rows, several at a time: a node works off one request after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Final, TypeVar

from apps.chain.errors import NodeUnavailable
from apps.chain.node.isolation import AWAY_MAX
from poolsite.tracing import trace_carried

Row = TypeVar("Row")
Found = TypeVar("Found")

REQUESTS: Final = 4
"""Requests to the node at a time."""
REQUESTS_URGENT: Final = 16
"""The same of what must not wait for slow answers, such as proofs while their windows are open."""
GATHER_S: Final = 0.03
"""For how long the first answer of a group waits for more: rows that are moved together cost less."""


def map_parallel(ask: Callable[[Row], Found], rows: Sequence[Row]) -> list[Found | Exception]:
    """Call for each row, in threads; what is raised for one stands in its place.

    `ask` must leave the database alone: a thread would open a connection of its own.  Once no node
    answered for some rows, the rest is not asked for.
    """
    away: list[NodeUnavailable] = []

    def one(row: Row) -> Found | Exception:
        if len(away) >= AWAY_MAX:
            return away[0]
        try:
            return ask(row)
        except NodeUnavailable as error:
            away.append(error)
            return error
        except Exception as error:  # noqa: BLE001  # raised again where the row is written
            return error

    if not rows:
        return []
    with ThreadPoolExecutor(min(REQUESTS, len(rows))) as threads:
        return [done.result() for done in [threads.submit(trace_carried(one), row) for row in rows]]


def groups_as_answered(
    ask: Callable[[Row], object], rows: Sequence[Row], *, most: int
) -> Iterator[list[tuple[Row, Exception | None]]]:
    """Call for each row, in threads, and yield the rows in groups of at most `most` as they are answered.

    Each with what was raised for it.  So a row whose call hangs holds up no other: it comes last.  `ask` must
    leave the database alone, as in `map_parallel`; once no node answered for some rows, the rest is not
    asked for.
    """
    away: list[NodeUnavailable] = []

    def one(row: Row) -> Exception | None:
        failures = away[:AWAY_MAX]  # at once: an answer in another thread clears them
        if len(failures) == AWAY_MAX:
            return failures[0]
        try:
            ask(row)
        except NodeUnavailable as error:
            away.append(error)
            return error
        except Exception as error:  # noqa: BLE001  # raised again where the row is moved
            return error
        away.clear()
        return None

    if not rows:
        return
    with ThreadPoolExecutor(min(REQUESTS_URGENT, len(rows))) as threads:
        pending = {threads.submit(trace_carried(one), row): row for row in rows}
        while pending:
            wait(pending, return_when=FIRST_COMPLETED)
            done, _ = wait(pending, timeout=GATHER_S)
            answered = [(pending.pop(future), future.result()) for future in list(pending) if future in done]
            for at in range(0, len(answered), most):
                yield answered[at : at + most]
