"""Leases by which a node votes for the pool's miners in fast finality (F3): renewed before they end.

A lease spans a few instances.  The ticket of the last one goes with each request: a node refuses it while it
is another node's and runs, so a miner never votes through two.  A ticket is a row before the node is asked to
vote by it, since an answer that is lost says nothing.
Source: lotus chain/lf3/participation.go, participation_lease.go; sophon-miner f3participant.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from django.db.models import Q
from django.utils.translation import gettext

from apps.blocks.models import F3Lease
from apps.blocks.services.finality_restored import doubt_reason, holders_known, restored_mark
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core.live import Change, publish_all
from poolsite.filecoin.cbor import BadCbor, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from apps.chain.link import NodeLink
    from apps.miners.models import Miner

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

TERM: Final = 5
"""Instances that a lease is asked for, as lotus-miner and sophon-miner do."""
RENEW_WITHIN: Final = 2
"""Instances before its end from which on it is renewed."""
ANSWER_S: Final = 5.0
F3_CHANGE: Final = "f3"
"""Kind of a change of leases, and of what nodes say of F3."""
INSTANCE_MAX: Final = 1 << 62
KEPT: Final = timedelta(days=1)
"""How long the ticket of a miner stays for which no lease is asked any more; by then its lease has ended."""

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


class TicketTaken(Exception):
    """Another process asks for this miner's lease."""


@dataclass(frozen=True, slots=True)
class F3Node:
    """A node that runs F3 now."""

    link: NodeLink
    instance: int


def f3_running(links: Iterable[NodeLink]) -> list[F3Node]:
    """Return the nodes that run F3, with the instance that each works on; others are left out.

    All are asked at the same time: those that hang cost one wait together.
    """
    return [node for node in ask_all(links, _running) if node is not None]


def _running(link: NodeLink) -> F3Node | None:
    try:
        progress = link.call("F3GetProgress", [], timeout_s=ANSWER_S)
        return F3Node(link, _instance(progress["ID"]))
    except (NodeRefused, NodeUnavailable, KeyError, TypeError, ValueError):
        return None


def ask_all(links: Iterable[NodeLink], ask: Callable[[NodeLink], Answer]) -> list[Answer]:
    """Return what each node says, in their order, all asked at the same time; `ask` reads no rows."""
    nodes = list(links)
    if len(nodes) < 2:
        return [ask(link) for link in nodes]
    with ThreadPoolExecutor(len(nodes)) as threads:
        return list(threads.map(ask, nodes))


def f3_participate(miners: Sequence[Miner], links: Sequence[NodeLink], *, now: datetime) -> bool:
    """Ask for the leases that are missing or about to end; False where there is nothing to look after.

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
    nodes = f3_running(links)
    instances = {node.link.url: node.instance for node in nodes}
    restored_mark(miners, leases, instances=instances, term=TERM + RENEW_WITHIN, now=now)
    if not nodes:
        for lease in leases.values():
            _failed(lease, "no node that runs F3 responds", now=now)
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
            voters = _voters(nodes) if voters is None else voters
            _ask_holder(lease, nodes, voters, silent, now=now)
            continue
        lease.instance = newest if own is None else own.instance
        is_early = lease.runs_at(now) and lease.ends - lease.instance > RENEW_WITHIN
        if own is None or lease.reason or not is_early:
            asked = nodes if own is None else [own, *(node for node in nodes if node is not own)]
            _ask(lease, asked, silent, now=now)
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
    holders = holders_known(lease, voters.get(lease.miner.actor_id or -1, ()))
    current = [node for node in nodes if node.instance + RENEW_WITHIN >= lease.instance]
    holder = [node for node in current if node.link.url in holders]
    if lease.restored_until is None or len(holders) != 1 or not holder:
        _failed(lease, doubt_reason(lease, holders), now=now)
    elif lease.reason or not lease.runs_at(now) or lease.ends - holder[0].instance <= RENEW_WITHIN:
        _ask(lease, holder, silent, now=now)


def _voters(nodes: Sequence[F3Node]) -> dict[int, set[str]]:
    """Return by which nodes each actor is voted for; empty where one of them does not tell."""
    found: dict[int, set[str]] = {}
    for node, actors in zip(nodes, ask_all([node.link for node in nodes], _participants), strict=True):
        if actors is None:
            return {}
        for actor_id in actors:
            found.setdefault(actor_id, set()).add(node.link.url)
    return found


def _participants(link: NodeLink) -> list[int] | None:
    try:
        said = link.call("F3ListParticipants", [], timeout_s=ANSWER_S)
        return [int(one["MinerID"]) for one in said or []]
    except (NodeRefused, NodeUnavailable, KeyError, TypeError, ValueError):
        return None


def f3_stop(
    miners: Sequence[Miner], links: Callable[[], Sequence[NodeLink]], *, reason: str, now: datetime
) -> None:
    """Note that no lease is asked for any more, except for these miners.

    The ticket is kept for a day, and until a node works on an instance behind its end: before, no other node
    may vote, and instances stand still while the network's votes do not suffice.
    """
    others = F3Lease.objects.exclude(miner__in=miners)
    old = others.filter(Q(looked_at=None) | Q(looked_at__lt=now - KEPT))
    old.filter(ticket="").delete()
    if old.exists() and (nodes := f3_running(links())):
        old.filter(reserved_until__lt=max(node.instance for node in nodes)).delete()
    ended = others.exclude(reason=reason, failing_since=None)
    _publish(row.miner for row in ended.select_related("miner"))
    ended.update(reason=reason, failing_since=None)


def _ask(lease: F3Lease, nodes: Iterable[F3Node], silent: set[str], *, now: datetime) -> None:
    """Renew one miner's lease at the first node that does, or note why none did."""
    reasons = []
    unanswered = gettext("the node did not respond")
    for node in nodes:
        if node.link.url in silent:
            reasons.append(unanswered)
            continue
        before = lease.ticket
        try:
            _renewed(lease, node, _granted(lease, node), now=now)
        except TicketTaken:
            return
        except NodeRefused as refusal:
            reason = refusal.reason
            if refusal_code(refusal) == ISSUER_MISMATCH:
                bound = lease.reserved_until + 1
                reason = gettext(
                    "the node that votes for it is unavailable: another may vote from instance {instance} on"
                ).format(instance=bound)
                reasons = [one for one in reasons if one != unanswered]
            reasons.append(reason)
        except NodeUnavailable:
            silent.add(node.link.url)
            reasons.append(unanswered)
        except (KeyError, TypeError, ValueError):
            reasons.append(gettext("the node's response could not be parsed"))
        else:
            return
        if lease.ticket != before:
            break  # whether this node votes is not known: no other one may
    _failed(lease, reasons[0], now=now)


def _granted(lease: F3Lease, node: F3Node) -> dict[str, Any]:
    """Return the lease that a node gives.  Raises NodeRefused, NodeUnavailable, TicketTaken."""
    previous = lease.ticket
    for is_last in (False, True):
        asked = [lease.miner.address, previous or None, TERM]
        try:
            ticket = str(node.link.call("F3GetOrRenewParticipationTicket", asked, timeout_s=ANSWER_S))
            return _voted(lease, node, ticket)
        except NodeRefused as refusal:
            code = refusal_code(refusal)
            # A ticket that nobody can read binds nobody any more once its lease has run out.
            is_void = code == TICKET_INVALID and node.instance > lease.reserved_until
            if is_last or not (code in RENEWABLE or is_void):
                raise
            previous = ""
    raise AssertionError("two tries")


def _voted(lease: F3Lease, node: F3Node, ticket: str) -> dict[str, Any]:
    """Return the lease that a node gives for a ticket, which is a row before: it may give it unheard."""
    before = (lease.ticket, lease.node, lease.reserved_until)
    _reserve(lease, ticket, node.link.url, ticket_end(ticket, node.instance))
    try:
        given: dict[str, Any] = node.link.call("F3Participate", [ticket], timeout_s=ANSWER_S)
    except NodeRefused as refusal:
        if refusal_code(refusal) in WORDS.values():
            _reserve(lease, *before)  # the node says that it does not vote by this one
        raise
    return given


def _reserve(lease: F3Lease, ticket: str, url: str, until: int) -> None:
    """Write down by which node a miner votes next.  Raises TicketTaken if another process was faster."""
    facts = {"ticket": ticket, "node": url, "reserved_until": until}
    if not lease.pk:
        now = {"instance": lease.instance, "looked_at": lease.looked_at}
        row, is_new = F3Lease.objects.get_or_create(miner=lease.miner, defaults=facts | now)
        lease.pk = row.pk
    else:
        rows = F3Lease.objects.filter(pk=lease.pk, ticket=lease.ticket)
        is_new = bool(rows.update(**facts))
    if not is_new:
        raise TicketTaken
    lease.ticket, lease.node, lease.reserved_until = ticket, url, until


def ticket_end(ticket: str, instance: int) -> int:
    """Return the last instance of a ticket that a node gave while it worked on this one.

    A ticket is the lease in CBOR; one of another form is taken to begin a little later.
    """
    try:
        _, _, _, first, term = decode(base64.b64decode(ticket, validate=True))
        return _instance(first + term)
    except (BadCbor, TypeError, ValueError):
        return instance + TERM + RENEW_WITHIN


def refusal_code(refusal: NodeRefused) -> int:
    """Return lotus' code of a refusal, by its words where the node is of another make."""
    by_words = (code for words, code in WORDS.items() if words in refusal.reason.lower())
    return refusal.rpc_code if refusal.rpc_code in WORDS.values() else next(by_words, refusal.rpc_code)


def _instance(number: Any) -> int:
    """Return the number of an instance.  Raises ValueError for one that no database keeps."""
    found = int(number)
    if not 0 <= found < INSTANCE_MAX:
        raise ValueError(f"no instance of F3: {found}")
    return found


def _renewed(lease: F3Lease, node: F3Node, given: Mapping[str, Any], *, now: datetime) -> None:
    first = _instance(given["FromInstance"])
    ends = _instance(first + int(given["ValidityTerm"]))
    facts = {
        "network": str(given["Network"])[:200],
        "issuer": str(given["Issuer"])[:200],
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


def _failed(lease: F3Lease, reason: str, *, now: datetime) -> None:
    """Note why a lease could not be renewed, since when, and at which instance nodes were when seen last."""
    if lease.reason != reason[:300] or lease.failing_since is None:
        log.warning("f3_not_renewed", miner=str(lease.miner), reason=reason[:300])
    facts = {
        "reason": reason[:300],
        "failing_since": lease.failing_since or now,
        "instance": lease.instance,
        "looked_at": lease.looked_at,
    }
    F3Lease.objects.update_or_create(miner=lease.miner, defaults=facts)
