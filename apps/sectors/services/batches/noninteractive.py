"""Commits of sectors that had no pre-commit: one message that seals, proves and places them (FIP-0092).

Their proof is an aggregate even for one sector, and the message names the deadline that gets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from django.db.models import Count

from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.sectors.onchain.deadline_windows import last_mutable_epoch_compute, open_deadline_read
from apps.sectors.reasons import NO_AGGREGATOR, OTHER_TICKET
from apps.sectors.rules.batches import COMMIT_NI
from apps.sectors.rules.lifetimes import expiration_choose
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.aggregates import aggregate_make
from apps.sectors.services.batches.forms import (
    BatchEntry,
    BatchForm,
    batch_entries_fit,
    batch_form_fit,
    batch_form_try,
    batch_sender_choose,
    containers_pack,
    pledge_value_compute,
    sector_refuse,
)
from apps.sectors.services.sealing.console_steps import sector_console_step
from apps.sectors.services.sealing.steps import sectors_requeue
from poolsite.filecoin.proof_verifier import is_container
from poolsite.wire.pipeline import FINAL_STATES, SectorEvent, SectorState

DEADLINES_AHEAD: Final = 6
"""How far the deadline of new sectors is ahead, so that it can still be changed when the message lands.
Source: damocles-manager SealingSectorDeadlineDelayNi."""


def noninteractive_form_make(
    miner: Miner, *, sectors: Sequence[Sector], reason: str, work: SealingContext
) -> BatchForm | None:
    """Return what the message of these sectors holds; None while there is none that the chain would take.

    Raises NodeRefused.
    """
    expiration = expiration_choose(
        height=work.head.height, wished=work.policy.sector_life_epochs, network=work.network
    )
    parts = _parts(miner, sectors, expiration=expiration, work=work)
    deadline = _deadline_choose(miner, work) if parts else None
    if deadline is None:
        return None
    sender = batch_sender_choose(miner, kind=COMMIT_NI, parts=parts, work=work)
    form = BatchForm(parts, deadline=deadline, expiration=expiration)
    if is_container(parts[0].proof):
        each = [containers_pack(replace(form, parts=[part])) for part in parts]
        good = [one for one in each if _is_taken(miner, one, sender=sender, work=work)]
        small = batch_entries_fit(
            [replace(one.parts[0], proof=one.aggregate) for one in good], policy=work.policy
        )
        fitting = {part.sector.pk for part in small}
        parts = [part for part in parts if part.sector.pk in fitting]
        if not parts:
            return None
        whole = containers_pack(replace(form, parts=parts))
        return batch_form_fit(miner, form=whole, kind=COMMIT_NI, sender=sender, work=work)
    made = aggregate_make(
        miner,
        sectors=[part.sector for part in parts],
        proofs=[part.proof for part in parts],
        reason=reason,
        work=work,
        is_needed=True,
    )
    if made.waits:
        return None
    if not made.proof:
        sectors_requeue([part.sector for part in parts], error=made.error or NO_AGGREGATOR(), work=work)
        return None
    form = replace(form, aggregate=made.proof)
    return form if _is_taken(miner, form, sender=sender, work=work) else None


def _parts(
    miner: Miner, sectors: Sequence[Sector], *, expiration: int, work: SealingContext
) -> list[BatchEntry]:
    """Return sectors with their proofs, all of one form, by number."""
    parts: list[BatchEntry] = []
    value = 0
    if work.policy.send_funds:
        value = pledge_value_compute(miner.sector_size, deposit=0, expiration=expiration, work=work)
    rows = Sector.objects.select_related("miner", "final_proof").filter(
        pk__in=[sector.pk for sector in sectors]
    )
    for sector in rows.order_by("number"):
        if sector.final_proof.seed_epoch != sector.seed_epoch:
            sector_console_step(
                sector,
                event=SectorEvent.RESEED,
                now=work.now,
                note=OTHER_TICKET(),
            )
            continue
        proof = bytes(sector.final_proof.proof)
        if not parts or is_container(proof) == is_container(parts[0].proof):
            parts.append(BatchEntry(sector=sector, value=value, proof=proof))
    return parts


def _is_taken(miner: Miner, form: BatchForm, *, sender: str, work: SealingContext) -> bool:
    """Return whether the chain would take a message now; its sectors wait where it would not."""
    trial = batch_form_try(miner, form=form, kind=COMMIT_NI, sender=sender, work=work)
    if not trial.is_good:
        for part in form.parts:
            sector_refuse(part.sector, trial=trial, kind=COMMIT_NI, work=work)
    return trial.is_good


def _deadline_choose(miner: Miner, work: SealingContext) -> int | None:
    """Return the deadline for new sectors: of those with the fewest partitions the next far enough ahead."""
    current = open_deadline_read(work.client, miner.address, key=work.head.key, height=work.head.height)
    deadlines = work.network.proving.deadlines
    proven = Sector.objects.filter(miner=miner, deadline__isnull=False)
    proven = proven.exclude(state__in=FINAL_STATES - {SectorState.PROVING})
    sectors_by_deadline = dict(proven.order_by().values_list("deadline").annotate(Count("pk")))
    ahead = [
        (current.index + by) % deadlines for by in range(min(DEADLINES_AHEAD, deadlines // 2), deadlines)
    ]
    free = [
        at
        for at in ahead
        if last_mutable_epoch_compute(current, index=at, height=work.head.height) is not None
    ]
    partition_sectors = max(miner.partition_sectors, 1)
    return min(free, key=lambda at: sectors_by_deadline.get(at, 0) // partition_sectors, default=None)
