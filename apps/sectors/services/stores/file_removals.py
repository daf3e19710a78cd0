"""Files of sectors that the chain has ended: what is there to free, and the order to remove them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import transaction

from apps.core.formatting import plural
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.sectors.errors.stores import FilesNotRemovable
from apps.sectors.models import Sector
from apps.sectors.onchain.live_sectors import live_sectors_read
from apps.sectors.selectors.ended_sectors import landed_termination
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.files.removals import file_hosts_find, files_remove
from apps.sectors.services.sealing.console_steps import sectors_group_by_miner
from apps.sectors.services.sealing.steps import job_lock
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import OPEN_MOVES
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.wire.pipeline import RUN_FINAL, SectorState

REMOVE_FILES: Final = "REMOVE_FILES"
"""Event of a sector whose hosts were told to remove its files."""
REMOVALS_MAX: Final = 1_000
"""Sectors of one request."""


@dataclass(frozen=True, slots=True)
class FileRemoval:
    """What a removal does to one sector; with a refusal its files stay."""

    sector: Sector
    refusal: str = ""
    hosts: tuple[str, ...] = ()
    """Those that are told."""

    @property
    def size(self) -> int:
        """Bytes that get free, at least: those of the replica."""
        return 0 if self.refusal else self.sector.sector_size


def removals_plan(sectors: Sequence[Sector], *, work: SealingContext) -> list[FileRemoval]:
    """Return what can be removed of these sectors, and of the others why not.

    Raises NodeRefused, NodeUnavailable.
    """
    plan: list[FileRemoval] = []
    for miner, group in sectors_group_by_miner(sectors).items():
        numbers = [sector.number for sector in group]
        live = live_sectors_read(
            work.client, miner.address, numbers, size=miner.sector_size, key=work.head.key
        )
        plan += [_planned(sector, work, is_live=sector.number in live) for sector in group]
    return plan


def _planned(sector: Sector, work: SealingContext, *, is_live: bool) -> FileRemoval:
    refusal = gettext("it is still live on chain") if is_live else _refusal(sector, work)
    hosts = () if refusal else tuple(file_hosts_find(sector, job=sector.job))
    if not refusal and not hosts:
        refusal = gettext("no sealing host has its store {store}").format(store=sector.store).rstrip()
    return FileRemoval(sector, refusal=refusal, hosts=tuple(host.name for host in hosts))


def _refusal(sector: Sector, work: SealingContext) -> str:
    """Return why the files of a sector that the chain does not have stay; empty if they may go."""
    if sector.state == SectorState.ABORTED:
        return gettext("it was aborted: its hosts were already told to remove its files")
    if sector.removal_asked_at is not None:
        return gettext("its hosts were already told to remove its files")
    if sector.state not in (SectorState.TERMINATED, SectorState.PROVING):
        return gettext("it is being sealed")
    if sector.runs.exclude(state__in=RUN_FINAL).exists():
        return gettext("its snap-up or rebuild is in progress: abort that first")
    if sector.moves.filter(state__in=OPEN_MOVES).exists():
        return gettext("it is being moved to another store: cancel that first")
    return _early(sector, work)


def _early(sector: Sector, work: SealingContext) -> str:
    """Return until when a reorganisation may bring a sector back; empty where none can any more."""
    finality, height = work.network.chain_finality, work.head.height
    if sector.active:
        return gettext("it was active on chain a moment ago")
    if sector.state == SectorState.PROVING:
        if sector.expiration is None:
            return gettext("it has not ended on chain")
        final = sector.expiration + work.network.proving.period + finality
        return gettext("its expiry is final at epoch {epoch}").format(epoch=final) if final > height else ""
    landed = landed_termination(sector)
    if landed is not None:
        final = landed + finality
        return (
            gettext("its termination is final at epoch {epoch}").format(epoch=final) if final > height else ""
        )
    waits = timedelta(seconds=finality * work.network.epoch_s) - (work.now - sector.stage_since)
    return (
        gettext("its end is final in {seconds} s").format(seconds=int(waits.total_seconds()))
        if waits > timedelta()
        else ""
    )


def removals_request(
    sectors: Sequence[Sector],
    *,
    by: Principal,
    work: SealingContext,
    reason: str = "",
    count: int | None = None,
) -> list[FileRemoval]:
    """Order the hosts to remove the files of these sectors, for good.

    Those that cannot be removed are left out and named.  Raises FilesNotRemovable if none is left, or not the
    `count` that somebody has confirmed; NodeRefused, NodeUnavailable.
    """
    if len(sectors) > REMOVALS_MAX:
        raise FilesNotRemovable(gettext("at most {limit} sectors at a time").format(limit=REMOVALS_MAX))
    plan = removals_plan(sectors, work=work)
    accepted = [one.sector for one in plan if not one.refusal]
    if not accepted:
        raise FilesNotRemovable(next((one.refusal for one in plan), "no sectors were given"), field="sectors")
    if count is not None and len(accepted) != count:
        raise FilesNotRemovable(
            gettext("this now applies to {sectors}, not {count}: review it and confirm again").format(
                sectors=plural(len(accepted), "sector"), count=count
            )
        )
    with transaction.atomic():
        ordered: dict[Miner, list[int]] = defaultdict(list)
        for sector in sorted(accepted, key=lambda one: one.pk):
            if _order(sector, by=by, work=work, reason=reason):
                ordered[sector.miner].append(sector.number)
        if not ordered:
            raise FilesNotRemovable(
                gettext("the sectors changed in the meantime: reload and try again"), field="sectors"
            )
        for miner, numbers in ordered.items():
            after = {"sectors": sorted(numbers), "bytes": len(numbers) * miner.sector_size}
            audit_record(
                principal=by,
                action="sector.remove-files",
                target=str(miner),
                after=after | ({"reason": reason} if reason else {}),
            )
    return plan


def _order(sector: Sector, *, by: Principal, work: SealingContext, reason: str) -> bool:
    """Order the removal from the hosts of one sector; return False if that was done already."""
    job, current = job_lock(sector.pk)
    Sector.objects.select_for_update(of=("self",)).only("pk").get(pk=sector.pk)  # as a move does that begins
    is_moving = current.moves.filter(state__in=OPEN_MOVES).exists()
    if current.removal_asked_at is not None or current.state != sector.state or is_moving:
        return False
    Sector.objects.filter(pk=current.pk).update(removal_asked_at=work.now, updated_at=work.now)
    job_event_write(job, event=REMOVE_FILES, now=work.now, after=current.state, actor=by.actor, note=reason)
    files_remove(current, job=job, actor=by.actor)
    return True
