"""Leases of fast finality (F3) after the database was restored from a backup.

Nodes may vote by tickets that were given since the backup was made, and no row says by which node.  Two nodes
that vote for one miner equivocate, so each miner waits until any such ticket has ended; a node that alone
says that it votes for the miner is gone on with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from django.utils.translation import gettext

from apps.blocks.models import F3Lease
from apps.chain.selectors.nodes import nodes_all
from apps.chain.states import NodeCondition
from apps.messages.services.recovery.detect import restore_check

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from apps.miners.models import Miner

log = structlog.get_logger(__name__)


def restored_mark(
    miners: Sequence[Miner],
    *,
    leases: dict[int, F3Lease],
    instances: Mapping[str, int],
    term: int,
    now: datetime,
) -> None:
    """Note in the miners' leases that a restore was found, and until which instance each waits.

    `leases` by miner; one that the backup lacks is added, as nodes may vote for its miner, too.
    `instances` by the nodes' URLs; `term`: how far ahead of it the end of a ticket can be.
    """
    restored_at = restore_check(now=now).restored_at
    if restored_at is None:
        return
    for miner in miners:
        lease = leases.get(miner.pk)
        if lease is None and not instances:
            continue  # no node votes for it now; on a chain without F3 none ever does
        if lease is None:
            lease = leases[miner.pk] = F3Lease.objects.get_or_create(miner=miner)[0]
            lease.miner = miner
        if lease.restored_at is None or lease.restored_at < restored_at:
            _write(lease, restored_at=restored_at, restored_until=None, ticket="", node="", ends=-1)
    waiting = [lease for lease in leases.values() if lease.restored_until is None]
    if waiting and _has_synced(instances, since=restored_at):
        newest = max(instances.values())
        for lease in waiting:
            _write(lease, restored_until=max(lease.reserved_until, newest + term))
            log.warning("f3_restored", miner=str(lease.miner), until=lease.restored_until)


def _write(lease: F3Lease, **facts: datetime | int | str | None) -> None:
    """Write it, unless another process requested a lease meanwhile: the next pass reads again."""
    if F3Lease.objects.filter(pk=lease.pk, ticket=lease.ticket).update(**facts):
        for name, value in facts.items():
            setattr(lease, name, value)


def _has_synced(urls: Collection[str], *, since: datetime) -> bool:
    """Return whether one of these nodes was found in sync since then: what the backup says of it is old."""
    return nodes_all().filter(url__in=urls, condition=NodeCondition.HEALTHY, checked_at__gte=since).exists()


def lease_holders_find(lease: F3Lease, *, voters: Collection[str]) -> set[str]:
    """Return which nodes vote for a miner in doubt: `voters` say so, one was asked since the restore."""
    return set(voters) | ({lease.node} if lease.ticket else set())


def doubt_explain(lease: F3Lease, *, holders: Collection[str]) -> str:
    """Return why a lease in doubt is not renewed, and until when."""
    if lease.restored_until is None:
        return gettext("the database was restored: no node in sync has reported the current instance yet")
    after = lease.restored_until + 1
    if len(holders) > 1:
        return gettext(
            "the database was restored and {count} nodes vote for it:"
            " a lease is requested from instance {instance} on"
        ).format(count=len(holders), instance=after)
    return gettext(
        "the database was restored and a node may vote for it:"
        " a lease is requested from instance {instance} on"
    ).format(instance=after)
