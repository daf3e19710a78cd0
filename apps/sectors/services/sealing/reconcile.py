"""Sectors whose message and whose batch tell different tales: the chain decides.

A message that somebody gave up may land all the same, since its signature is out; then its batch has failed
and its sectors wait for another one.  Sending that would pay for a second pre-commit that the chain refuses,
so what the chain has already is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from apps.chain.node.client import ChainClient
from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.sectors.reasons import BATCH_FAILED, FAILED_LANDED, PROOF_EXPIRED
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.services.sealing.console_steps import sector_console_step, sectors_group_by_miner
from apps.sectors.services.sealing.landings import (
    commits_land,
    own_precommits_read,
    precommits_land,
    proven_sectors_read,
)
from apps.sectors.services.sealing.steps import sector_console_fail
from apps.sectors.states import BatchState
from poolsite.wire.job_reports import Level
from poolsite.wire.pipeline import SectorEvent, SectorState


def landed_reconcile(
    miner: Miner, *, sectors: Sequence[Sector], client: ChainClient, key: str, now: datetime
) -> list[Sector]:
    """Return the sectors that still wait for a batch; move on those that the chain has already."""
    waits = [sector for sector in sectors if sector.state == SectorState.PERSISTED]
    done = [sector for sector in sectors if sector.state == SectorState.C2_DONE]
    onchain = own_precommits_read(miner, sectors=waits, client=client, key=key)
    onchain |= proven_sectors_read(miner, sectors=done, client=client, key=key)
    for sector in sectors:
        if sector.pk in onchain:
            is_first = sector.state == SectorState.PERSISTED
            event = SectorEvent.SEND_PRECOMMIT if is_first else SectorEvent.SEND_COMMIT
            sector_console_step(sector, event=event, now=now, note=FAILED_LANDED())
    if onchain:
        sectors_reconcile(Sector.objects.filter(pk__in=onchain), client=client, key=key, now=now)
    return [sector for sector in sectors if sector.pk not in onchain]


def stranded_reconcile(*, client: ChainClient, key: str, now: datetime) -> None:
    """Settle sectors that wait for a message of a batch that has failed: sent back, or on the chain."""
    rows = Sector.objects.exclude(miner__in=miners_unrecovered())
    over = Q(precommit_batch=None) | Q(precommit_batch__state=BatchState.FAILED)
    over_commit = Q(commit_batch=None) | Q(commit_batch__state=BatchState.FAILED)
    sectors_reconcile(
        rows.filter(
            Q(state=SectorState.PRECOMMIT_SENT) & over | Q(state=SectorState.COMMIT_SENT) & over_commit,
            paused_at=None,
        ),
        client=client,
        key=key,
        now=now,
    )


def sectors_reconcile(rows: QuerySet[Sector], *, client: ChainClient, key: str, now: datetime) -> None:
    """Land the sectors that the chain has, and let the others wait for a batch again."""
    for miner, sectors in sectors_group_by_miner(rows.select_related("miner__tenant").order_by("pk")).items():
        for state, land, event in (
            (SectorState.PRECOMMIT_SENT, precommits_land, SectorEvent.FAIL_PRECOMMIT),
            (SectorState.COMMIT_SENT, commits_land, SectorEvent.FAIL_COMMIT),
        ):
            here = [sector for sector in sectors if sector.state == state]
            if here:
                for absent in land(here, miner=miner, client=client, key=key, now=now):
                    sector_console_step(absent, event=event, now=now, note=BATCH_FAILED())


def expired_pause(sectors: Sequence[Sector], *, height: int, life: int, now: datetime) -> None:
    """Pause sectors whose pre-commit the chain has thrown away for its age: no message brings it back."""
    for sector in sectors:
        if sector.precommit_epoch is not None and height > sector.precommit_epoch + life:
            error = PROOF_EXPIRED(precommit_epoch=sector.precommit_epoch + life)
            sector_console_fail(sector, error=error, level=Level.PERMANENT, now=now)
