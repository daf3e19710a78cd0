"""Reading what nodes answer: the JSON of each kind of result into our types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.chain.errors import NodeRefused
from apps.chain.node.gas_estimates import Estimate
from apps.core.sanitize import sanitize_text
from poolsite.filecoin.address import Address, address_parse
from poolsite.filecoin.cids import Cid, cid_from_json
from poolsite.filecoin.message import (
    Message,
    Receipt,
    SignedMessage,
    message_from_json,
    receipt_from_json,
    signed_message_from_json,
)


@dataclass(frozen=True, slots=True)
class Actor:
    """What the chain keeps of an actor."""

    code: Cid
    nonce: int
    balance: int
    """attoFIL, without what the actor locks elsewhere."""


def signed_messages_read(value: Any) -> list[SignedMessage]:
    """Return signed messages."""
    return [signed_message_from_json(row) for row in value or ()]


def pool_nonces_read(value: Any) -> dict[str, frozenset[int]]:
    """Return the nonces of each sender in a list of signed messages; nothing else of them is read."""
    found: dict[str, set[int]] = {}
    for row in value or ():
        message = row["Message"]
        # Prefixes differ by network; the rest of an address does not.
        found.setdefault("f" + message["From"][1:], set()).add(int(message["Nonce"]))
    return {address: frozenset(nonces) for address, nonces in found.items()}


def text_read(value: Any) -> str:
    """Return a string.  Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def address_read(value: Any) -> str:
    """Return an address as rows hold it, with prefix f: nodes of test networks write t."""
    return str(address_parse(text_read(value)))


def object_read(value: Any) -> dict[str, Any]:
    """Return a JSON object.  Raises TypeError for anything else."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def objects_read(value: Any) -> list[dict[str, Any]]:
    """Return JSON objects; null is none."""
    return [object_read(row) for row in value or ()]


def messages_read(value: Any) -> list[tuple[Cid, Message]]:
    """Return the messages that a tipset executes, with their CIDs.

    Of two with one nonce, in two of its blocks, the first is executed: forest names the other one as well,
    which has no receipt.  Source: forest src/rpc/methods/chain.rs load_api_messages_from_tipset, and
    src/interpreter/vm.rs for_tipset.
    """
    found: dict[tuple[Address, int], tuple[Cid, Message]] = {}
    for row in value or ():
        message = message_from_json(row["Message"])
        found.setdefault((message.from_, message.nonce), (cid_read(row["Cid"]), message))
    return list(found.values())


def block_messages_read(value: Any) -> list[tuple[Cid, Message, SignedMessage | None]]:
    """Return what a block includes: CID, message and, of those that have one, the signed form."""
    plain = [message_from_json(row) for row in value["BlsMessages"] or ()]
    signed = signed_messages_read(value["SecpkMessages"])
    found: list[tuple[Cid, Message, SignedMessage | None]] = [(one.cid, one, None) for one in plain]
    return [*found, *((one.cid, one.message, one) for one in signed)]


def receipts_read(value: Any) -> list[Receipt]:
    """Return receipts."""
    return [receipt_from_json(row) for row in value or ()]


def actor_read(row: Any) -> Actor:
    """Return an actor."""
    return Actor(code=cid_read(row["Code"]), nonce=int(row["Nonce"]), balance=int(row["Balance"]))


def estimates_read(value: Any) -> list[Estimate]:
    """Return the estimates of a batch."""
    return [_estimate(row) for row in value]


def cid_read(value: Any) -> Cid:
    """Return a CID.  Raises NodeRefused for null."""
    cid = cid_from_json(value)
    if cid is None:
        raise NodeRefused(0, "the node sent null for a CID")
    return cid


def _estimate(row: Any) -> Estimate:
    if row.get("Err"):
        return Estimate(None, sanitize_text(str(row["Err"])))
    return Estimate(message_from_json(row["Msg"]))
