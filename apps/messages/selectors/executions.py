"""What a head executed: the messages that its parents include, with their receipts, as a node says."""

from __future__ import annotations

from dataclasses import dataclass

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.selectors.heads import head_by_key
from poolsite.filecoin.address import address_format
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import Receipt


@dataclass(frozen=True, slots=True)
class Execution:
    """One message of a tipset with its receipt."""

    cid: str
    from_addr: str
    to: str
    nonce: int
    receipt: Receipt
    message: ChainMessage


@dataclass(frozen=True, slots=True)
class Executed:
    """What one head executed."""

    head: Head
    height: int
    """Of the tipset that includes the messages."""
    base_fee: int
    """That they pay: the including tipset's."""
    messages: tuple[Execution, ...]


def executed_read(row: Head, *, below: Head | None, client: ChainClient) -> Executed:
    """Return what executed `row`, as the node says; `below` is the tipset below it, where known."""
    if not row.parent_key:  # genesis executes nothing
        return Executed(row, row.height, 0, ())
    block = row.cids[0]
    messages = client.chain_get_parent_messages(block)
    receipts = client.chain_get_parent_receipts(block) if messages else []
    if len(messages) != len(receipts):
        raise NodeRefused(0, f"messages not match receipts, {len(messages)} != {len(receipts)}")
    if below is None or below.key != row.parent_key:
        below = head_by_key(row.parent_key)
    including = below or client.chain_get_tipset(row.parent_key)
    return Executed(
        head=row,
        height=including.height,
        base_fee=int(including.base_fee),
        messages=tuple(
            Execution(
                cid=str(cid),
                from_addr=address_format(message.from_),
                to=address_format(message.to),
                nonce=message.nonce,
                receipt=receipt,
                message=message,
            )
            for (cid, message), receipt in zip(messages, receipts, strict=True)
        ),
    )
