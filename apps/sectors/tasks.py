"""What a head moves here: chain steps of sectors, batches, lost leases, and which sectors are active."""

from __future__ import annotations

import structlog
from celery import shared_task

from apps.chain.client import chain_client
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.selectors import head_current, network_current
from apps.core import clock
from apps.miners.onchain import active_numbers
from apps.miners.selectors import miners_active
from apps.sectors.models import Sector
from apps.sectors.services.advance import (
    Underway,
    places_fill,
    precommits_check,
    sectors_active,
    seeds_assign,
    tickets_assign,
    tickets_check,
)
from apps.sectors.services.batches import batches_close, batches_watch, round_make
from apps.sectors.services.claims import leases_sweep

log = structlog.get_logger(__name__)


@shared_task(name="sectors.advance")
def sectors_advance(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Take every chain step that the newest head makes possible."""
    head = head_current()
    if head is None:
        return
    client, network, now = chain_client(), network_current(), clock.now()
    try:
        batches_watch(round_make(client=client, network=network, head=head, now=now))
        underway = Underway()
        tickets_check(underway, network=network, head=head, now=now)
        tickets_assign(underway, client=client, network=network, head=head, now=now)
        precommits_check(underway, client=client, head=head, now=now)
        seeds_assign(underway, client=client, network=network, head=head, now=now)
        _active_follow(key=head.key)
    except (NodeUnavailable, NodeRefused) as error:
        # The next head comes in seconds and finds everything as it is now.
        log.warning("sectors_not_advanced", height=head.height, reason=str(error))


def _active_follow(*, key: str) -> None:
    client, now = chain_client(), clock.now()
    for miner in miners_active():
        if Sector.objects.filter(miner=miner).exists():
            sectors_active(miner=miner, numbers=active_numbers(client, miner.address, key), now=now)
            places_fill(miner=miner, client=client, key=key)


@shared_task(name="sectors.batch")
def sectors_batch(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Close the batches that are due at the newest head."""
    head = head_current()
    if head is None:
        return
    work = round_make(client=chain_client(), network=network_current(), head=head, now=clock.now())
    try:
        batches_close(work)
    except (NodeUnavailable, NodeRefused) as error:
        log.warning("batches_not_closed", height=head.height, reason=str(error))


@shared_task(name="sectors.sweep")
def sectors_sweep(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Free jobs whose lease ran out."""
    leases_sweep(now=clock.now())
