"""What a head moves here: chain steps of sectors, batches, lost leases, and which sectors are active.

What each step finds to do, the follower asks beforehand: apps/sectors/due.py says how.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from celery import shared_task
from django.conf import settings

from apps.chain.node.client import chain_client
from apps.chain.node.isolation import for_each_isolated
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.chain.selectors.read_cache import chain_read_once
from apps.core import clock
from apps.core.locks import single_flight
from apps.core.month_parts import months_keep
from apps.miners.selectors.chain_roots import roots_active
from apps.sectors.selectors.sealing_context import SealingContext, sealing_context_make
from apps.sectors.selectors.targets import targets_due
from apps.sectors.services.active import active_follow, deadlines_fill
from apps.sectors.services.adoptions.rows import adoptions_follow
from apps.sectors.services.batches.closing import batches_close
from apps.sectors.services.batches.messages import batches_watch
from apps.sectors.services.changes.advance import changes_advance
from apps.sectors.services.changes.claims_ending import claims_ending_follow
from apps.sectors.services.changes.expirations import expirations_count
from apps.sectors.services.jobs.c1_outputs import c1_parts_sweep
from apps.sectors.services.jobs.c1_repeats import c1_repeat
from apps.sectors.services.jobs.leases import leases_sweep
from apps.sectors.services.proven import proven_follow
from apps.sectors.services.readback.sectors import sectors_recover
from apps.sectors.services.reservations import leases_expire
from apps.sectors.services.runs.elsewhere import missing_host_runs_follow
from apps.sectors.services.runs.lent_copies import lent_copies_remove
from apps.sectors.services.runs.messages import runs_advance
from apps.sectors.services.runs.snap_up_due import pieces_snap
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.landings import damocles_follow, precommits_check
from apps.sectors.services.sealing.packing import pieces_pack
from apps.sectors.services.sealing.placements import placements_follow
from apps.sectors.services.sealing.reseal import missing_hosts_follow
from apps.sectors.services.sealing.seeds import seeds_assign, seeds_skip
from apps.sectors.services.sealing.targets import targets_follow
from apps.sectors.services.sealing.tickets import tickets_assign, tickets_check, tickets_renew
from apps.sectors.services.sealing.urgency import urgent_mark
from apps.sectors.services.stores.redeclarations import redeclarations_follow
from apps.sectors.services.stores.scan_comparison import scans_compare
from apps.sectors.services.stores.scans import scans_renew
from apps.sectors.services.verified.allocations import allocations_follow
from apps.wallets.services.data_cap import data_caps_refresh

STARTED: Final = monotonic()
"""When this process began."""


@shared_task(name="sectors.months")
@single_flight
def months() -> None:
    """Make the coming months' parts of the tables of events, and drop those that are no longer kept."""
    months_keep(kept_months=settings.EVENTS_KEPT_MONTHS, today=clock.now().date())


@shared_task(name="sectors.advance")
@chain_read_once()
@single_flight
def sectors_advance(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Move all sectors on as far as the newest head lets them."""
    head = head_current()
    if head is None:
        return
    work = sealing_context_make(client=chain_client(), network=network_current(), head=head, now=clock.now())
    sectors_recover(work)
    batches_watch(work)
    changes_advance(work)
    placements_follow(height=work.head.height, network=work.network, now=work.now)
    pieces_snap(work)
    pieces_pack(work)
    for_each_isolated(
        SectorsInProgress.read().each_miner(),
        lambda in_progress: _advance(in_progress, work),
        event="sectors_not_advanced",
    )
    runs_advance(work)
    missing_host_runs_follow(silent_since=silent_since(work), now=work.now)
    deadlines_fill(work)


def silent_since(work: SealingContext) -> datetime | None:
    """Return since when a host that was not heard is away; None while this process is younger than that.

    While the pool was stopped no host was heard.
    """
    away = timedelta(seconds=work.policy.worker_away_s)
    return work.now - away if monotonic() - STARTED > away.total_seconds() else None


def _advance(in_progress: SectorsInProgress, work: SealingContext) -> None:
    """Move one miner's sectors on as far as the head lets them."""
    client, network, head, now = work.client, work.network, work.head, work.now
    tickets_check(in_progress, client=client, network=network, head=head, now=now)
    tickets_assign(in_progress, client=client, network=network, head=head, now=now)
    tickets_renew(in_progress, client=client, network=network, head=head, now=now)
    seeds_skip(in_progress, now=now)
    precommits_check(in_progress, client=client, head=head, now=now)
    seeds_assign(in_progress, client=client, network=network, head=head, now=now)
    c1_repeat(in_progress, now=now)
    urgent_mark(in_progress, network=network, head=head)
    missing_hosts_follow(in_progress, silent_since=silent_since(work), now=now)
    damocles_follow(in_progress, now=now)


@shared_task(name="sectors.active")
@single_flight
def sectors_active(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Follow which sectors the chain has as active, what it says of each, and which claims end soon."""
    roots = roots_active()  # set before the head: later reads are never older than it
    head = head_current()
    if head is None:
        return
    work = sealing_context_make(client=chain_client(), network=network_current(), head=head, now=clock.now())
    active_follow(roots, work=work)
    proven_follow(work)
    claims_ending_follow(work)


@shared_task(name="sectors.batch")
@chain_read_once()
@single_flight
def sectors_batch(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Close the batches that are due at the newest head."""
    head = head_current()
    if head is None:
        return
    batches_close(
        sealing_context_make(client=chain_client(), network=network_current(), head=head, now=clock.now())
    )


@shared_task(name="sectors.scans")
@single_flight
def sectors_scans(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Compare what hosts found in stores; apart from sealing, which a million sectors would hold up."""
    now = clock.now()
    scans_compare(now=now)
    scans_renew(now=now)
    redeclarations_follow(now=now)


@shared_task(name="sectors.adopt")
@chain_read_once()
@single_flight
def sectors_adopt(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Go on with adoptions of sectors that the chain has."""
    head = head_current()
    if head is not None:
        adoptions_follow(
            sealing_context_make(client=chain_client(), network=network_current(), head=head, now=clock.now())
        )


@shared_task(name="sectors.allocations")
@single_flight
def sectors_allocations(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Read the allocations for the pool's miners, and the DataCap of its addresses.

    Apart from the rest, as a node may take a minute.
    """
    head, client = head_current(), chain_client()
    if head is not None and allocations_follow(client=client, head=head, now=clock.now()):
        data_caps_refresh(client=client, key=head.key)


@shared_task(name="sectors.sweep")
def sectors_sweep(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """End leases that ran out, dead uploads and lent copies; count when sectors end; follow targets."""
    leases_sweep(now=clock.now())
    leases_expire(now=clock.now())
    c1_parts_sweep(now=clock.now())
    expirations_count(now=clock.now())
    lent_copies_remove(now=clock.now())
    head = head_current()
    if head is not None and targets_due(now=clock.now()):
        targets_follow(
            sealing_context_make(client=chain_client(), network=network_current(), head=head, now=clock.now())
        )
