"""The recoveries that are under way, moved by one pass at a time for each miner."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled
from apps.core.locks import lock_in_turn, try_lock
from apps.messages.selectors.messages import messages_by_ids
from apps.proving.models import Recovery
from apps.proving.services.recovery_steps import recovery_move
from apps.proving.states import RecoveryState

if TYPE_CHECKING:
    from collections.abc import Collection

    from apps.proving.rules.proving_context import ProvingContext

RECOVERY_LOCK: Final = 0x5243
"""Lock class of one miner's recoveries."""
LOCK_WAIT_S: Final = 5.0
"""Longest wait for a pass that moves the same ones; the next head follows."""
OPEN: Final = (RecoveryState.CHECKING, RecoveryState.GOOD, RecoveryState.SENT, RecoveryState.LANDED)
IN_PROGRESS: Final[Compiled[Recovery]] = Compiled(
    "recoveries_under_way",
    lambda: Recovery.objects.filter(state__in=OPEN).order_by("pk").only("pk", "miner"),
)


def recovering_miners_list() -> list[int]:
    """Return the miners with a recovery that is under way."""
    return list(dict.fromkeys(row.miner_id for row in IN_PROGRESS.rows()))


def recoveries_advance(context: ProvingContext, *, miners: Collection[int] | None = None) -> None:
    """Move every recovery that is under way, or those of `miners`.

    Two passes meet here, as in `posts_advance`.  A miner's recoveries are moved by one of them at a time,
    since only one of its declarations brings the miner's debt; the other pass reads them again afterwards.
    """
    rows = [row for row in IN_PROGRESS.rows() if miners is None or row.miner_id in miners]
    at_work: list[Recovery] = []

    def move(row: Recovery) -> None:
        with try_lock(RECOVERY_LOCK, str(row.miner_id)) as is_mine:
            if is_mine:
                recovery_move_now(row, context=context)
            else:
                at_work.append(row)

    def move_in_turn(row: Recovery) -> None:
        wait_s = until - time.monotonic()
        with lock_in_turn(RECOVERY_LOCK, str(row.miner_id), wait_s=wait_s) as is_mine:
            if is_mine:
                recovery_move_now(row, context=context)

    for_each_isolated(rows, move, event="recovery_not_moved")
    until = time.monotonic() + LOCK_WAIT_S
    for_each_isolated(at_work, move_in_turn, event="recovery_not_moved")


ONE: Final[Compiled[Recovery]] = Compiled(
    "recovery_under_way",
    lambda key: Recovery.objects.filter(pk=key, state__in=OPEN).select_related("miner__tenant", "job__miner"),
    key="bigint",
)


def recovery_move_now(row: Recovery, *, context: ProvingContext) -> None:
    """Advance a recovery from where it is now: another pass may have moved it."""
    rows = ONE.rows(key=row.pk)
    for fresh in rows:
        message = messages_by_ids([fresh.message_id]).get(fresh.message_id) if fresh.message_id else None
        recovery_move(fresh, message=message, context=context)
