"""Rounds as they end: most in one write, those that were won along their table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.blocks.models import Block, Round
from apps.blocks.states import RoundState
from apps.core.errors import LostRace, WrongState
from apps.core.live import Change, publish, publish_all
from apps.core.transitions import advance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.miners.models import Miner

REASON_MAX = 300


def rounds_record(rounds: Sequence[Round]) -> None:
    """Write rounds that were not won; who wrote the same first is right."""
    if not rounds:
        return
    with transaction.atomic():
        Round.objects.bulk_create(rounds, ignore_conflicts=True)
        publish_all([Change("rounds", str(row.miner.uuid), row.miner.tenant_id) for row in rounds])


def round_won(row: Round) -> Round:
    """Write that a round was won, before its block is made; return the row that another wrote first."""
    with transaction.atomic():
        written, _ = Round.objects.get_or_create(
            miner=row.miner,
            epoch=row.epoch,
            defaults={
                name: getattr(row, name)
                for name in (
                    "base_height",
                    "state",
                    "expected",
                    "win_count",
                    "sector",
                    "steps",
                    "budget_ms",
                    "at",
                )
            },
        )
        round_publish(written)
    return written


def round_advance(row: Round, event: str, **data: Any) -> None:
    """Move a round that was won; one that another service moved meanwhile stays as that has it."""
    if "reason" in data:
        data["reason"] = data["reason"][:REASON_MAX]
    try:
        with transaction.atomic():
            advance(row, event, **data)
            round_publish(row)
    except (LostRace, WrongState):
        row.refresh_from_db()


def round_submitted(row: Round, block: Block, *, now: datetime, steps: list[Any]) -> None:
    """Note that a node took the block."""
    Block.objects.filter(pk=block.pk, submitted_at=None).update(submitted_at=now)
    round_advance(row, "SUBMIT", steps=steps)


def rounds_interrupted(*, before: int) -> int:
    """End the rounds that a service left behind when it was killed and that are too old to go on."""
    rows = list(Round.objects.select_related("miner").filter(state=RoundState.WON, epoch__lt=before))
    for row in rows:
        round_advance(row, RoundState.INTERRUPTED, reason="the service ended before the block was submitted")
    return len(rows)


def rounds_at(miners: Sequence[Miner], epoch: int) -> dict[int, Round]:
    """Return the rounds of an epoch that are there already, with their blocks, by the miner's key."""
    rows = Round.objects.select_related("block", "miner").filter(epoch=epoch, miner__in=miners)
    return {row.miner_id: row for row in rows}


def round_publish(row: Round) -> None:
    """Publish that a round changed, for the pages that show it."""
    publish(Change("rounds", str(row.miner.uuid), row.miner.tenant_id))
