"""Tickets of F3 leases: asking a node for one, writing it down before it is used, and what refusals mean."""

from __future__ import annotations

import base64
from typing import Any, Final

from apps.blocks.models import F3Lease
from apps.blocks.services.finality_nodes import ANSWER_S, F3Node, instance_read
from apps.chain.errors import NodeRefused
from poolsite.filecoin.cbor import BadCbor, decode

TERM: Final = 5
"""Instances that a lease is requested for, as lotus-miner and sophon-miner do."""
RENEW_WITHIN: Final = 2
"""Instances before its end from which on it is renewed."""

DISABLED, TICKET_INVALID, TICKET_EXPIRED, ISSUER_MISMATCH, STARTS_BEFORE, NOT_READY = 4, 5, 6, 7, 9, 10
"""Codes of lotus; other implementations are recognised by their texts below."""
REFUSAL_TEXTS: Final[dict[str, int]] = {
    "f3 is disabled": DISABLED,
    "ticket is not valid": TICKET_INVALID,
    "ticket has expired": TICKET_EXPIRED,
    "issuer does not match current node": ISSUER_MISMATCH,
    "ticket starts before existing lease": STARTS_BEFORE,
    "ticket starts before the existing lease": STARTS_BEFORE,
    "f3 isn't yet ready": NOT_READY,
}
RENEWABLE: Final = (TICKET_EXPIRED, STARTS_BEFORE)
"""Refusals of a ticket after which a new one is requested at once."""


class TicketTaken(Exception):
    """Another process asks for this miner's lease."""


def lease_request(lease: F3Lease, *, node: F3Node) -> dict[str, Any]:
    """Return the lease that a node gives.  Raises NodeRefused, NodeUnavailable, TicketTaken."""
    previous = lease.ticket
    for is_last in (False, True):
        params = [lease.miner.address, previous or None, TERM]
        try:
            ticket = str(node.link.call("F3GetOrRenewParticipationTicket", params, timeout_s=ANSWER_S))
            return _voted(lease, node, ticket)
        except NodeRefused as refusal:
            code = refusal_code_read(refusal)
            # A ticket that nobody can read binds nobody any more once its lease has run out.
            is_void = code == TICKET_INVALID and node.instance > lease.reserved_until
            if is_last or not (code in RENEWABLE or is_void):
                raise
            previous = ""
    raise AssertionError("two tries")


def _voted(lease: F3Lease, node: F3Node, ticket: str) -> dict[str, Any]:
    """Return the lease that a node gives for a ticket, which is a row before: it may give it unheard."""
    before = (lease.ticket, lease.node, lease.reserved_until)
    _reserve(lease, ticket, node.link.url, ticket_end(ticket, instance=node.instance))
    try:
        participation: dict[str, Any] = node.link.call("F3Participate", [ticket], timeout_s=ANSWER_S)
    except NodeRefused as refusal:
        if refusal_code_read(refusal) in REFUSAL_TEXTS.values():
            _reserve(lease, *before)  # the node says that it does not vote by this ticket
        raise
    return participation


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


def ticket_end(ticket: str, *, instance: int) -> int:
    """Return the last instance of a ticket that a node gave while it worked on this one.

    A ticket is the lease in CBOR; one of another form is taken to begin a little later.
    """
    try:
        _, _, _, first, term = decode(base64.b64decode(ticket, validate=True))
        return instance_read(first + term)
    except (BadCbor, TypeError, ValueError):
        return instance + TERM + RENEW_WITHIN


def refusal_code_read(refusal: NodeRefused) -> int:
    """Return lotus' code of a refusal, by its text where the node is another implementation."""
    by_text = (code for text, code in REFUSAL_TEXTS.items() if text in refusal.reason.lower())
    return refusal.rpc_code if refusal.rpc_code in REFUSAL_TEXTS.values() else next(by_text, refusal.rpc_code)
