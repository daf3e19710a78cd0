"""Work for each row of many: what goes wrong with one is written down and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import structlog
from django.db import InterfaceError, OperationalError
from psycopg2.errors import DeadlockDetected

from apps.chain.errors import NodeUnavailable
from apps.core.errors import DomainError

log = structlog.get_logger(__name__)

Row = TypeVar("Row")

AWAY_MAX: Final = 3
"""Rows in a row for which no node answered: then there is none for the others either."""


def for_each_isolated(rows: Iterable[Row], do: Callable[[Row], object], *, event: str) -> None:
    """Do something for each row; failures are logged under the name `event`, the next head tries again.

    A node that answers only one row's question too late holds up that row alone; one that is away ends
    the pass, since every further question would cost a wait.  An absent database is passed on.
    """
    away = 0
    for row in rows:
        try:
            do(row)
        except Exception as error:  # noqa: BLE001  # written down below, or raised again there
            failure_log(row, error, event=event)
            away = away + 1 if isinstance(error, NodeUnavailable) else 0
            if away == AWAY_MAX:
                return
        else:
            away = 0


def failure_log(row: object, error: Exception, *, event: str) -> None:
    """Write down what went wrong with one row of many.  Raises it again where it concerns all of them."""
    if isinstance(error, DomainError):
        log.warning(event, row=str(row), reason=error.reason[:300])
    elif _is_of_all(error):
        raise error
    else:  # a row that cannot be read, or an answer that nobody has foreseen
        log.exception(event, row=str(row), exc_info=error)


def rows_isolated(rows: Iterable[Row], do: Callable[[Row], object], *, event: str) -> list[Row]:
    """Do the same; returns the rows for which nothing went wrong."""
    done: list[Row] = []

    def one(row: Row) -> None:
        do(row)
        done.append(row)

    for_each_isolated(rows, one, event=event)
    return done


def together_isolated(rows: Sequence[Row], do: Callable[[Sequence[Row]], object], *, event: str) -> None:
    """Do something for all rows at once; where that fails, for each by itself, so that one stops no other.

    `do` must change nothing, here or in the database, where it fails.
    """
    if len(rows) > 1:
        try:
            do(rows)
        except Exception as error:
            if _is_of_all(error):
                raise
            # It is found, and logged, in the row that it is of.
            log.info(event, rows=len(rows), reason=repr(error)[:300])
        else:
            return
    for_each_isolated(rows, lambda row: do([row]), event=event)


def _is_of_all(error: Exception) -> bool:
    """Return whether the database is away; a deadlock is of the rows alone that were locked together."""
    is_database = isinstance(error, (OperationalError, InterfaceError))
    return is_database and not isinstance(error.__cause__, DeadlockDetected)
