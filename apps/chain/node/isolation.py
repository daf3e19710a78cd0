"""Work for each row of many: what goes wrong with one is written down and stops no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from django.db import InterfaceError, OperationalError

from apps.chain.errors import NodeUnavailable
from apps.core.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
        except NodeUnavailable as error:
            away += 1
            log.warning(event, row=str(row), reason=error.reason[:300])
            if away == AWAY_MAX:
                return
            continue
        except DomainError as error:
            log.warning(event, row=str(row), reason=error.reason[:300])
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # a row that cannot be read, or an answer that nobody has foreseen
            log.exception(event, row=str(row))
        away = 0
