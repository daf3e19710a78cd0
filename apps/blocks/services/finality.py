"""Leases by which a node votes for the pool's miners in fast finality (F3): renewed before they end.

A lease spans a few instances.  The ticket of the last one goes with each request: a node refuses it while it
is another node's and runs, so a miner never votes through two.  A ticket is a row before the node is asked to
vote by it, since an answer that is lost says nothing.

After a restore nodes may vote by tickets given since the backup was made, and no row says by which node.  Two
nodes that vote for one miner equivocate, so each miner waits until any such ticket has ended; a node that
alone says that it votes for the miner is gone on with.
Source: lotus chain/lf3/participation.go, participation_lease.go; sophon-miner f3participant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db.models import Q

from apps.blocks.models import F3Lease
from apps.blocks.reasons import (
    INSTANCE_UNKNOWN,
    NO_F3_NODE,
    NOT_ANSWERED,
    UNREADABLE,
    VOTER_AWAY,
    VOTER_UNKNOWN,
    VOTERS_MANY,
)
from apps.blocks.services.finality_nodes import F3Node, f3_nodes_find, instance_read, voters_read
from apps.blocks.services.finality_tickets import (
    ISSUER_MISMATCH,
    RENEW_WITHIN,
    TERM,
    TicketTaken,
    lease_request,
    refusal_code_read,
)
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.link import NodeLink
from apps.chain.selectors.nodes import nodes_all
from apps.chain.states import NodeCondition
from apps.core.live import Change, publish_all
from apps.core.reason_fields import is_kept
from apps.core.reasons import Reason, refused
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner


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


def doubt_explain(lease: F3Lease, *, holders: Collection[str]) -> Reason:
    """Return why a lease in doubt is not renewed, and until when."""
    if lease.restored_until is None:
        return INSTANCE_UNKNOWN()
    after = lease.restored_until + 1
    if len(holders) > 1:
        return VOTERS_MANY(count=len(holders), instance=after)
    return VOTER_UNKNOWN(instance=after)


log = structlog.get_logger(__name__)

F3_CHANGE: Final = "f3"
"""Kind of a change of leases, and of what nodes say of F3."""
TICKET_RETENTION: Final = timedelta(days=1)
"""How long the ticket of a miner is stored after its last lease request; by then its lease has ended."""


def f3_participate(miners: Sequence[Miner], *, links: Sequence[NodeLink], now: datetime) -> bool:
    """Request the leases that are missing or about to end; False where there is none to renew.

    Without a node that runs F3, leases of earlier are kept and say so.  A node that does not answer is asked
    no more in this pass: others wait for theirs.
    """
    before = _shown(miners)
    has_leases = _participate(miners, links, now=now)
    after = _shown(miners)
    _publish(miner for miner in miners if before.get(miner.pk) != after.get(miner.pk))
    return has_leases


def _shown(miners: Sequence[Miner]) -> dict[int, tuple[Any, ...]]:
    """Return what pages show of the miners' leases."""
    rows = F3Lease.objects.filter(miner__in=miners)
    return {row[0]: row for row in rows.values_list("miner_id", "node", "ends", "instance", "reason")}


def _publish(miners: Iterable[Miner]) -> None:
    publish_all([Change(F3_CHANGE, str(miner.uuid), miner.tenant_id) for miner in miners])


def _participate(miners: Sequence[Miner], links: Sequence[NodeLink], *, now: datetime) -> bool:
    leases = {row.miner_id: row for row in F3Lease.objects.filter(miner__in=miners).select_related("miner")}
    nodes = f3_nodes_find(links)
    instances = {node.link.url: node.instance for node in nodes}
    restored_mark(miners, leases=leases, instances=instances, term=TERM + RENEW_WITHIN, now=now)
    if not nodes:
        for lease in leases.values():
            _failed(lease, NO_F3_NODE(), now=now)
        return bool(leases)
    for node in nodes:
        rows = F3Lease.objects.filter(node=node.link.url, miner__in=miners)
        rows.update(instance=node.instance, looked_at=now)
    newest = max(node.instance for node in nodes)
    silent: set[str] = set()
    voters: dict[int, set[str]] | None = None
    for miner in miners:
        lease = leases.get(miner.pk) or F3Lease(miner=miner)
        own = next((node for node in nodes if node.link.url == lease.node), None)
        lease.instance, lease.looked_at = newest, now
        if lease.is_in_doubt:
            voters = voters_read(nodes) if voters is None else voters
            _ask_holder(lease, nodes, voters, silent, now=now)
            continue
        lease.instance = newest if own is None else own.instance
        is_early = lease.runs_at(now) and lease.ends - lease.instance > RENEW_WITHIN
        if own is None or lease.reason or not is_early:
            ordered = nodes if own is None else [own, *(node for node in nodes if node is not own)]
            _ask(lease, ordered, silent, now=now)
    return True


def _ask_holder(
    lease: F3Lease,
    nodes: Sequence[F3Node],
    voters: Mapping[int, set[str]],
    silent: set[str],
    *,
    now: datetime,
) -> None:
    """Renew a lease in doubt at the one node that is known to vote for its miner, or note how long it waits.

    One that is instances behind lists leases that have ended.
    """
    holders = lease_holders_find(lease, voters=voters.get(lease.miner.actor_id or -1, ()))
    current = [node for node in nodes if node.instance + RENEW_WITHIN >= lease.instance]
    holder = [node for node in current if node.link.url in holders]
    if lease.restored_until is None or len(holders) != 1 or not holder:
        _failed(lease, doubt_explain(lease, holders=holders), now=now)
    elif lease.reason or not lease.runs_at(now) or lease.ends - holder[0].instance <= RENEW_WITHIN:
        _ask(lease, holder, silent, now=now)


def f3_stop(
    miners: Sequence[Miner], *, links: Callable[[], Sequence[NodeLink]], reason: Reason, now: datetime
) -> None:
    """Note that no lease is asked for any more, except for these miners.

    The ticket is kept for a day, and until a node works on an instance behind its end: before, no other node
    may vote, and instances stand still while the network's votes do not suffice.
    """
    others = F3Lease.objects.exclude(miner__in=miners)
    old = others.filter(Q(looked_at=None) | Q(looked_at__lt=now - TICKET_RETENTION))
    old.filter(ticket="").delete()
    if old.exists() and (nodes := f3_nodes_find(links())):
        old.filter(reserved_until__lt=max(node.instance for node in nodes)).delete()
    ended = others.exclude(reason=reason, failing_since=None)
    _publish(row.miner for row in ended.select_related("miner"))
    ended.update(reason=reason, failing_since=None)


def _ask(lease: F3Lease, nodes: Iterable[F3Node], silent: set[str], *, now: datetime) -> None:
    """Renew one miner's lease at the first node that does, or note why none did."""
    reasons: list[Reason] = []
    for node in nodes:
        if node.link.url in silent:
            reasons.append(NOT_ANSWERED())
            continue
        before = lease.ticket
        try:
            _renewed(lease, node, lease_request(lease, node=node), now=now)
        except TicketTaken:
            return
        except NodeRefused as refusal:
            reason = refused(refusal)
            if refusal_code_read(refusal) == ISSUER_MISMATCH:
                bound = lease.reserved_until + 1
                reason = VOTER_AWAY(instance=bound)
                reasons = [one for one in reasons if not NOT_ANSWERED.made(one)]
            reasons.append(reason)
        except NodeUnavailable:
            silent.add(node.link.url)
            reasons.append(NOT_ANSWERED())
        except (KeyError, TypeError, ValueError):
            reasons.append(UNREADABLE())
        else:
            return
        if lease.ticket != before:
            break  # it is unknown whether this node votes: no other one may
    _failed(lease, reasons[0], now=now)


def _renewed(lease: F3Lease, node: F3Node, participation: Mapping[str, Any], *, now: datetime) -> None:
    first = instance_read(participation["FromInstance"])
    ends = instance_read(first + int(participation["ValidityTerm"]))
    facts = {
        "network": str(participation["Network"])[:200],
        "issuer": str(participation["Issuer"])[:200],
        "from_instance": first,
        "ends": ends,
        "reserved_until": ends,
        "instance": node.instance,
        "looked_at": now,
        "renewed_at": now,
        "reason": "",
        "failing_since": None,
    }
    F3Lease.objects.filter(pk=lease.pk, ticket=lease.ticket).update(**facts)


def _failed(lease: F3Lease, reason: Reason, *, now: datetime) -> None:
    """Note why a lease could not be renewed, since when, and at which instance nodes were when seen last."""
    if lease.failing_since is None or not is_kept(lease, "reason", reason):
        log.warning("f3_not_renewed", miner=str(lease.miner), reason=reason[:300])
    facts = {
        "reason": reason,
        "failing_since": lease.failing_since or now,
        "instance": lease.instance,
        "looked_at": lease.looked_at,
    }
    F3Lease.objects.update_or_create(miner=lease.miner, defaults=facts)
