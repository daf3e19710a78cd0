"""Questions to the node for many rows, several at a time: a node works off one request after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from apps.chain.errors import NodeUnavailable
from apps.chain.node.isolation import AWAY_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = TypeVar("Row")
Found = TypeVar("Found")

REQUESTS: Final = 4
"""Requests to the node at a time."""


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
        return list(threads.map(one, rows))
