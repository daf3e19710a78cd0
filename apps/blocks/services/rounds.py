"""Rounds as they end: most in one write, those that were won along their table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from apps.blocks.models import Block, Round
from apps.blocks.reasons import INTERRUPTED
from apps.blocks.states import RoundState
from apps.core.compiled import Compiled
from apps.core.errors import LostRace, WrongState
from apps.core.live import Change, publish_all
from apps.core.transitions import advance, advance_many
from apps.miners.models import Miner


def rounds_record(rounds: Sequence[Round]) -> None:
    """Write rounds that were not won; who wrote the same first is right."""
    if not rounds:
        return
    with transaction.atomic():
        Round.objects.bulk_create(rounds, ignore_conflicts=True)
        rounds_publish(rounds)


@transaction.atomic
def wins_record(rows: Sequence[Round]) -> list[Round]:
    """Write that rounds were won, before their blocks are made; return the rows that others wrote first."""
    # Rows are locked in one order: a service beside us that writes the same waits, and none for the other.
    Round.objects.bulk_create(sorted(rows, key=lambda row: row.miner_id), ignore_conflicts=True)
    miners = {row.miner_id: row.miner for row in rows}
    found = Round.objects.filter(miner__in=miners, epoch__in={row.epoch for row in rows})
    written = {(row.miner_id, row.epoch): row for row in found}
    won = [written[row.miner_id, row.epoch] for row in rows]
    for row in won:
        row.miner = miners[row.miner_id]
    rounds_publish(won)
    return won


def round_advance(row: Round, *, event: str, **data: Any) -> None:
    """Move a round that was won; one that another service moved meanwhile stays as that has it.

    After an error it can be done again.
    """
    moved = copy(row)  # it has the new state before COMMIT
    try:
        with transaction.atomic():
            advance(moved, event, **data)
            rounds_publish([moved])
    except (LostRace, WrongState):
        row.refresh_from_db()
    else:
        vars(row).update(vars(moved))


@dataclass(frozen=True, slots=True)
class Submitted:
    """A round whose block a node took."""

    round: Round
    block: Block
    steps: list[list[str | int]]
    at: datetime


@transaction.atomic
def submissions_record(submitted: Sequence[Submitted]) -> list[None]:
    """Note that a node took blocks; rounds that another service moved meanwhile stay as that has them."""
    blocks = Block.objects.filter(pk__in=[one.block.pk for one in submitted], submitted_at=None)
    blocks.update(submitted_at=submitted[0].at)
    steps = {one.round.pk: {"steps": json.dumps(one.steps)} for one in submitted}
    advance_many(Round, "SUBMIT", steps, returning="epoch")
    rounds_publish([one.round for one in submitted])
    return [None] * len(submitted)


ROUNDS_LEFT: Final[Compiled[Round]] = Compiled(
    "rounds_left",
    lambda before: Round.objects.select_related("miner", "block").filter(
        state=RoundState.WON, epoch__lt=before
    ),
    before="bigint",
)
ROUNDS_AT: Final[Compiled[Round]] = Compiled(
    "rounds_at",
    lambda epoch, miners: Round.objects.select_related("block", "miner").filter(
        epoch=epoch, miner_id__any=miners
    ),
    epoch="bigint",
    miners="bigint[]",
)


def rounds_interrupt(*, before: int, final: int = 0) -> int:
    """End the rounds that a service left behind when it was killed and that are too old to go on.

    One below the height `final` whose block was signed may have been submitted, and no later look finds it on
    the chain: it counts as submitted, so that a node is asked.
    """
    rows = ROUNDS_LEFT.rows(before=before)
    for row in rows:
        block = getattr(row, "block", None)
        if row.epoch < final and block is not None and block.cid:
            round_advance(row, event="SUBMIT")
            continue
        round_advance(
            row,
            event=RoundState.INTERRUPTED,
            reason=INTERRUPTED(),
        )
    return len(rows)


def rounds_read(miners: Sequence[Miner], *, epoch: int) -> dict[int, Round]:
    """Return the rounds of an epoch that are there already, with their blocks, by the miner's key."""
    return {row.miner_id: row for row in ROUNDS_AT.rows(epoch=epoch, miners=[miner.pk for miner in miners])}


def rounds_publish(rows: Sequence[Round]) -> None:
    """Publish that rounds changed, for the pages that show them."""
    publish_all([Change("rounds", str(row.miner.uuid), row.miner.tenant_id) for row in rows])
