"""Sectors whose pre-commit or commit the chain has, and those where it moved or went away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.live import Change, publish
from apps.miners.models import Miner
from apps.sectors.models import DAMOCLES, DamoclesSector, Sector
from apps.sectors.onchain.sectors import OnPreCommit, partitions_of, precommits_read, sectors_read
from apps.sectors.reasons import PRECOMMIT_GONE, PRECOMMIT_MOVED
from apps.sectors.services.sealing.console_steps import (
    SectorsInProgress,
    sector_console_step,
    sectors_group_by_miner,
)
from poolsite.filecoin.cids import commr_cid
from poolsite.wire.pipeline import SectorEvent, SectorState


def precommits_check(
    in_progress: SectorsInProgress, *, client: ChainClient, head: Head, now: datetime
) -> int:
    """Notice pre-commits that moved to another epoch, or went away, after they had landed."""
    states = (
        SectorState.PRECOMMIT_LANDED,
        SectorState.SEED_ASSIGNED,
        SectorState.C1_DONE,
        SectorState.C2_DONE,
    )
    count = 0
    landed = (sector for sector in in_progress.sectors_in(*states) if sector.is_interactive)
    for miner, sectors in sectors_group_by_miner(landed).items():
        found = _precommits_read(miner, sectors=sectors, client=client, key=head.key)
        missing = [one for one in sectors if one.state == SectorState.C2_DONE and found[one.number] is None]
        proven = proven_sectors_read(miner, sectors=missing, client=client, key=head.key)
        for sector in sectors:
            onchain = found[sector.number]
            if sector.pk in proven:
                continue  # by a commit that was given up: the next batch finds it
            if onchain is None:
                note = PRECOMMIT_GONE()
                count += sector_console_step(sector, event=SectorEvent.REVERT_PRECOMMIT, now=now, note=note)
            elif onchain.epoch != sector.precommit_epoch:
                count += _precommit_moved(sector, epoch=onchain.epoch, now=now)
    return count


def _precommit_moved(sector: Sector, *, epoch: int, now: datetime) -> bool:
    note = PRECOMMIT_MOVED(epoch=epoch, precommit_epoch=sector.precommit_epoch)
    if sector.state == SectorState.PRECOMMIT_LANDED:
        return bool(
            Sector.objects.filter(pk=sector.pk, state=sector.state).update(
                precommit_epoch=epoch, updated_at=now
            )
        )
    return sector_console_step(
        sector,
        event=SectorEvent.RESEED,
        now=now,
        note=note,
        precommit_epoch=epoch,
        seed=None,
        seed_epoch=None,
    )


def precommits_land(
    sectors: list[Sector], *, miner: Miner, client: ChainClient, key: str, now: datetime
) -> list[Sector]:
    """Move sectors whose pre-commit is on the chain; returns those for which there is none."""
    found = _precommits_read(miner, sectors=sectors, client=client, key=key)
    absent = []
    for sector in sectors:
        onchain = found[sector.number]
        if onchain is None:
            absent.append(sector)
        else:
            sector_console_step(
                sector, event=SectorEvent.LAND_PRECOMMIT, now=now, precommit_epoch=onchain.epoch
            )
    return absent


def commits_land(
    sectors: list[Sector], *, miner: Miner, client: ChainClient, key: str, now: datetime
) -> list[Sector]:
    """Move sectors that the chain knows as proven; returns those that it does not."""
    found = _proven_facts(sectors, miner=miner, client=client, key=key)
    for sector in sectors:
        if sector.pk in found:
            sector_console_step(sector, event=SectorEvent.LAND_COMMIT, now=now, **found[sector.pk])
    return [sector for sector in sectors if sector.pk not in found]


def commits_update(
    sectors: list[Sector], *, miner: Miner, client: ChainClient, key: str, now: datetime
) -> None:
    """Write anew what the chain says of proven sectors: another branch activated them at another epoch."""
    for pk, facts in _proven_facts(sectors, miner=miner, client=client, key=key).items():
        Sector.objects.filter(pk=pk).update(updated_at=now, **facts)
    for sector in sectors:
        publish(Change("sector", str(sector.uuid), miner.tenant_id))


def _proven_facts(
    sectors: Sequence[Sector], *, miner: Miner, client: ChainClient, key: str
) -> dict[int, dict[str, Any]]:
    """Return what the chain says of those that it knows as proven with this very replica, by row."""
    numbers = [sector.number for sector in sectors]
    found = sectors_read(client, miner.address, numbers, key)
    places = partitions_of(client, miner.address, numbers, key)
    facts: dict[int, dict[str, Any]] = {}
    for sector in sectors:
        onchain = found[sector.number]
        if onchain is not None and is_own_replica(sector, sealed_cid=onchain.sealed_cid):
            deadline, partition = places.get(sector.number, (None, None))
            facts[sector.pk] = {
                "activation": onchain.activation,
                "expiration": onchain.expiration,
                "initial_pledge": onchain.initial_pledge,
                "deadline": deadline,
                "partition": partition,
            }
    return facts


def _precommits_read(
    miner: Miner, *, sectors: Sequence[Sector], client: ChainClient, key: str
) -> dict[int, OnPreCommit | None]:
    """Return the pre-commits of these replicas by number; None where there is none, or another sealer's."""
    found = precommits_read(client, miner.address, [sector.number for sector in sectors], key)
    for sector in sectors:
        onchain = found[sector.number]
        if (
            onchain is not None
            and sector.comm_r is not None
            and not is_own_replica(sector, sealed_cid=onchain.sealed_cid)
        ):
            found[sector.number] = None
    return found


def own_precommits_read(
    miner: Miner, *, sectors: Sequence[Sector], client: ChainClient, key: str
) -> set[int]:
    """Return those of which the chain has the pre-commit of this very replica."""
    found = _precommits_read(miner, sectors=sectors, client=client, key=key)
    return {sector.pk for sector in sectors if sector.comm_r is not None and found[sector.number] is not None}


def proven_sectors_read(
    miner: Miner, *, sectors: Sequence[Sector], client: ChainClient, key: str
) -> set[int]:
    """Return the row ids of those that the chain has proven, with this very replica."""
    if not sectors:
        return set()
    found = sectors_read(client, miner.address, [sector.number for sector in sectors], key)
    return {
        sector.pk
        for sector in sectors
        if (onchain := found[sector.number]) is not None
        and is_own_replica(sector, sealed_cid=onchain.sealed_cid)
    }


def is_own_replica(sector: Sector, *, sealed_cid: str) -> bool:
    """Return whether the chain speaks of this sector's replica."""
    return sector.comm_r is not None and sealed_cid == str(commr_cid(bytes(sector.comm_r)))


def damocles_follow(in_progress: SectorsInProgress, *, now: datetime) -> int:
    """Finish damocles-workers' sectors whose commit has landed, as their worker may be away by then."""
    stored = [sector for sector in in_progress.sectors_in(SectorState.COMMIT_LANDED) if sector.store]
    landed = {sector.pk: sector for sector in stored}
    started = DamoclesSector.objects.exclude(begun_at=None)
    rows = started.filter(sector__in=landed, sector__job__sticky_worker__kinds__contains=[DAMOCLES])
    return sum(
        sector_console_step(landed[row.sector_id], event="FINALIZE", now=now)
        for row in (rows if landed else ())
    )
