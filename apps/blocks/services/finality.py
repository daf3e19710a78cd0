"""Leases by which a node votes for the pool's miners in fast finality (F3): renewed before they end.

A lease spans a few instances.  The ticket of the last one goes with each request: a node refuses it while it
is another node's and runs, so a miner never votes through two.
Source: lotus chain/lf3/participation.go, participation_lease.go; sophon-miner f3participant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from apps.blocks.models import F3Lease
from apps.chain.errors import NodeRefused, NodeUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from apps.chain.link import NodeLink
    from apps.miners.models import Miner

log = structlog.get_logger(__name__)

TERM: Final = 5
"""Instances that a lease is asked for, as lotus-miner and sophon-miner do."""
RENEW_WITHIN: Final = 2
"""Instances before its end from which on it is renewed."""
ANSWER_S: Final = 5.0

DISABLED, TICKET_INVALID, TICKET_EXPIRED, ISSUER_MISMATCH, STARTS_BEFORE, NOT_READY = 4, 5, 6, 7, 9, 10
"""Codes of lotus; nodes of other makes are known by the words below."""
WORDS: Final[dict[str, int]] = {
    "f3 is disabled": DISABLED,
    "ticket is not valid": TICKET_INVALID,
    "ticket has expired": TICKET_EXPIRED,
    "issuer does not match current node": ISSUER_MISMATCH,
    "ticket starts before existing lease": STARTS_BEFORE,
    "ticket starts before the existing lease": STARTS_BEFORE,
    "f3 isn't yet ready": NOT_READY,
}
RENEWABLE: Final = (TICKET_EXPIRED, STARTS_BEFORE)
"""Refusals of a ticket after which a new one is asked for at once."""


@dataclass(frozen=True, slots=True)
class F3Node:
    """A node that runs F3 now."""

    link: NodeLink
    instance: int


def f3_running(links: Iterable[NodeLink]) -> list[F3Node]:
    """Return the nodes that run F3, with the instance that each works on; others are left out."""
    found = []
    for link in links:
        try:
            progress = link.call("F3GetProgress", [], timeout_s=ANSWER_S)
            found.append(F3Node(link, int(progress["ID"])))
        except (NodeRefused, NodeUnavailable, KeyError, TypeError, ValueError):
            continue
    return found


def f3_participate(miners: Sequence[Miner], links: Sequence[NodeLink], *, now: datetime) -> bool:
    """Ask for the leases that are missing or about to end; False where there is nothing to look after.

    Without a node that runs F3, leases of earlier are kept and say so.
    """
    leases = {row.miner_id: row for row in F3Lease.objects.filter(miner__in=miners).select_related("miner")}
    nodes = f3_running(links)
    if not nodes:
        for lease in leases.values():
            _failed(lease, "no node that runs F3 answers", now=now)
        return bool(leases)
    stopped = F3Lease.objects.exclude(miner__in=miners).exclude(failing_since=None)
    stopped.update(reason="", failing_since=None)
    for node in nodes:
        rows = F3Lease.objects.filter(node=node.link.url).exclude(instance=node.instance)
        rows.update(instance=node.instance)
    for miner in miners:
        lease = leases.get(miner.pk) or F3Lease(miner=miner)
        own = next((node for node in nodes if node.link.url == lease.node), None)
        asked = own or nodes[0]
        lease.instance = asked.instance
        is_early = lease.runs and lease.ends - asked.instance > RENEW_WITHIN
        if own is None or lease.reason or not is_early:
            _ask(lease, asked, now=now)
    return True


def _ask(lease: F3Lease, node: F3Node, *, now: datetime) -> None:
    """Renew one miner's lease at a node, or note why not."""
    try:
        granted = _granted(lease, node)
    except NodeRefused as refusal:
        reason = refusal.reason
        if refusal_code(refusal) == ISSUER_MISMATCH:
            reason = f"the node that votes for it is away: another may from instance {lease.ends + 1} on"
        _failed(lease, reason, now=now)
    except NodeUnavailable:
        _failed(lease, "the node did not answer", now=now)
    except (KeyError, TypeError, ValueError):
        _failed(lease, "the node's answer cannot be read", now=now)
    else:
        _renewed(lease, node, granted, now=now)


def _granted(lease: F3Lease, node: F3Node) -> tuple[str, dict[str, Any]]:
    """Return a ticket and the lease that the node gives for it.  Raises NodeRefused, NodeUnavailable."""
    previous = lease.ticket
    for is_last in (False, True):
        asked = [lease.miner.address, previous or None, TERM]
        try:
            ticket = str(node.link.call("F3GetOrRenewParticipationTicket", asked, timeout_s=ANSWER_S))
            return ticket, node.link.call("F3Participate", [ticket], timeout_s=ANSWER_S)
        except NodeRefused as refusal:
            code = refusal_code(refusal)
            # A ticket that nobody can read binds nobody any more once its lease has run out.
            is_void = code == TICKET_INVALID and node.instance > lease.ends
            if is_last or not (code in RENEWABLE or is_void):
                raise
            previous = ""
    raise AssertionError("two tries")


def refusal_code(refusal: NodeRefused) -> int:
    """Return lotus' code of a refusal, by its words where the node is of another make."""
    by_words = (code for words, code in WORDS.items() if words in refusal.reason.lower())
    return refusal.rpc_code if refusal.rpc_code in WORDS.values() else next(by_words, refusal.rpc_code)


def _renewed(lease: F3Lease, node: F3Node, granted: tuple[str, Mapping[str, Any]], *, now: datetime) -> None:
    ticket, given = granted
    lease.network, lease.issuer = str(given["Network"])[:200], str(given["Issuer"])[:200]
    lease.from_instance = int(given["FromInstance"])
    lease.ends = lease.from_instance + int(given["ValidityTerm"])
    lease.node, lease.ticket, lease.instance = node.link.url, ticket, node.instance
    lease.renewed_at, lease.reason, lease.failing_since = now, "", None
    lease.save()


def _failed(lease: F3Lease, reason: str, *, now: datetime) -> None:
    """Note why a lease could not be renewed, and since when that is so."""
    if lease.pk and lease.reason == reason[:300] and lease.failing_since is not None:
        return
    log.warning("f3_not_renewed", miner=str(lease.miner), reason=reason[:300])
    lease.reason, lease.failing_since = reason[:300], lease.failing_since or now
    lease.save()
