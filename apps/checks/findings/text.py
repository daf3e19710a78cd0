"""Parts of sentences that several checks use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.findings.results import FINDINGS_MAX
from apps.checks.reasons import AT_LEAST
from apps.core.reasons import AND_MORE, counted, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeVar

    from apps.miners.models import Miner

    Row = TypeVar("Row")

NAMED: Final = 3
"""Names in a sentence."""


def named(names: Sequence[str], count: int | None = None) -> str:
    """`a, b, c and 4 more`; `count` says how many there are where `names` are only the first."""
    shown = listed(names[:NAMED])
    more = (len(names) if count is None else count) - NAMED
    return AND_MORE(names=shown, count=more) if more > 0 else shown


def miner_name(miner: Miner) -> str:
    """Return what people call a miner."""
    return str(miner.name or miner)


def miners_named(miners: Iterable[Miner]) -> str:
    """Return what people call some miners: `a, b, c and 4 more`."""
    return named([miner_name(miner) for miner in miners])


def at_least(count: int, noun: str, *, has_more: bool) -> str:
    """`3 sectors`, `at least 1,000 sectors`."""
    many = counted(count, noun)
    return AT_LEAST(many=many) if has_more else many


def grouped(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows one by one; those beyond `FINDINGS_MAX - 1` together, so that no list gets long."""
    alone = len(rows) if len(rows) <= FINDINGS_MAX else FINDINGS_MAX - 1
    yield from ([row] for row in rows[:alone])
    if rows[alone:]:
        yield rows[alone:]
