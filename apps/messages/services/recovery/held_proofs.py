"""Signing proofs of open windows while their sender is read back after a restore, so that none is missed.

Such a message pays nobody, and its window knows whether it was sent before: a partition takes one proof.  So
it is signed as soon as the sender's nonce and the partition's state are known, whatever else is not read yet.
"""

from __future__ import annotations

import structlog
from django.db.models import QuerySet

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.messages.models import Message
from apps.messages.states import Priority
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_proving import SubmitWindowedPoStParams
from poolsite.filecoin.bitfield import bitfield_from_json
from poolsite.filecoin.cbor import BadCbor

log = structlog.get_logger(__name__)


def window_proofs_select(waiting: QuerySet[Message]) -> QuerySet[Message]:
    """Return the WindowPoSts among messages that wait."""
    return waiting.filter(priority=Priority.PROOF, method=Method.SUBMIT_WINDOWED_POST, value=0)


def unproven_proofs_find(waiting: QuerySet[Message], *, client: ChainClient, head: Head) -> QuerySet[Message]:
    """Return those of these WindowPoSts for whose partitions neither chain nor the node's pool has a proof.

    Raises NodeUnavailable, NodeRefused.
    """
    sent = {
        place
        for signed in client.mpool_pending()
        if signed.message.method == Method.SUBMIT_WINDOWED_POST
        for place in _partitions(str(signed.message.to), signed.message.params)
    }
    good: list[str] = []
    for pk, to, params in waiting.values_list("pk", "to", "params"):
        wanted = _partitions(str(to), bytes(params))
        if wanted and not wanted & sent and not wanted & _proven(str(to), wanted, client=client, head=head):
            good.append(pk)
            sent |= wanted
    return waiting.filter(pk__in=good)


def _partitions(miner: str, params: bytes) -> set[tuple[str, int, int]]:
    """Return what a WindowPoSt proves: miner, deadline, partition; empty if it cannot be read."""
    try:
        read = params_read(SubmitWindowedPoStParams, params)
    except (BadCbor, ValueError):
        return set()
    return {(miner, int(read.deadline), int(one.index)) for one in read.partitions}


def _proven(
    miner: str, wanted: set[tuple[str, int, int]], *, client: ChainClient, head: Head
) -> set[tuple[str, int, int]]:
    """Return those partitions of one miner that are proven in the open window; all if no node answers."""
    try:
        deadlines = client.state_miner_deadlines(miner, head.key)
    except (NodeRefused, NodeUnavailable) as error:
        log.warning("proof_held", miner=miner, reason=error.reason[:300])
        return wanted
    found: set[tuple[str, int, int]] = set()
    for place in wanted:
        _, deadline, partition = place
        is_known = deadline < len(deadlines)
        if not is_known or partition in bitfield_from_json(deadlines[deadline]["PostSubmissions"]):
            found.add(place)
    return found
