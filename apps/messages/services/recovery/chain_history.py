"""Reading from the chain what an address sent: which message used a nonce, and where it landed.

The tipset is found by halving: an actor's nonce only grows, so few tipsets are read however far back it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import TipsetFacts
from apps.messages.services.spend import exit_code_cap, gas_cost_compute
from apps.messages.states import Wait
from poolsite.filecoin.address import address_format
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import Receipt


@dataclass(frozen=True, slots=True)
class Landed:
    """A message on chain."""

    cid: str
    """On chain: of the signed message for secp256k1, of the unsigned one for BLS."""
    message: ChainMessage
    receipt: Receipt
    height: int
    """Of the tipset that includes it."""
    tipset_key: str
    executed_key: str
    """Of the tipset that executed it."""
    executed_at: datetime
    """Time of that tipset."""
    base_fee: int

    def columns(self, *, now: datetime) -> dict[str, Any]:
        """Return what a row that landed so has."""
        return {
            "height": self.height,
            "tipset_key": self.tipset_key,
            "executed_key": self.executed_key,
            "landed_cid": self.cid,
            "exit_code": exit_code_cap(self.receipt),
            "gas_used": self.receipt.gas_used,
            "gas_cost": gas_cost_compute(self.message, receipt=self.receipt, base_fee=self.base_fee),
            "return_data": self.receipt.return_,
            "landed_at": now,
            "wait": str(Wait.NONE),
            "error": "",
        }


@dataclass(slots=True)
class History:
    """One address as the chain up to `head` knows it."""

    address: str
    client: ChainClient
    head: Head | TipsetFacts
    _tipsets: dict[int, tuple[TipsetFacts, int]] = field(default_factory=dict)
    """By the height asked for: the tipset at or below it, and the nonce before its messages."""

    def landed(self, nonces: Collection[int], *, low: int = 0) -> dict[int, Landed]:
        """Return the messages that used these nonces; those that nobody has used yet are missing.

        Nothing is searched below the height `low`.  Raises NodeUnavailable, NodeRefused.
        """
        found: dict[int, Landed] = {}
        wanted = set(nonces)
        while open_ := wanted - found.keys():
            lowest = min(open_)
            executed = self.executed_with(lowest, low=low)
            if executed is None:
                break
            for one in executed:
                if one.message.nonce in wanted:
                    found[one.message.nonce] = one
            if lowest not in found:  # another form of the address sent this one
                wanted.discard(lowest)
        return found

    def executed_with(self, nonce: int, *, low: int = 0) -> list[Landed] | None:
        """Return what the tipset that used this nonce executed for the address; None: nobody used it yet.

        Nothing is searched below the height `low`.  Raises NodeUnavailable, NodeRefused.
        """
        above = self._executing(nonce, low=low)
        return None if above is None else self._read(above)

    def nonce_at(self, height: int) -> int:
        """Return the nonce that the chain wanted at a height.  Raises NodeUnavailable, NodeRefused."""
        return self._at(height)[1]

    def _executing(self, nonce: int, *, low: int) -> TipsetFacts | None:
        """Return the lowest tipset whose state is past a nonce."""
        high = self.head.height
        if self._at(high)[1] <= nonce:
            return None
        step = 1
        bottom = high - step
        # A node may have pruned states far below: start near.
        while bottom > low and self._at(bottom)[1] > nonce:
            step *= 2
            high, bottom = bottom, max(high - step, low)
        if self._at(bottom)[1] > nonce:
            return None
        while high - bottom > 1:
            middle = (high + bottom) // 2
            if self._at(middle)[1] > nonce:
                high = middle
            else:
                bottom = middle
        return self._at(high)[0]

    def _at(self, height: int) -> tuple[TipsetFacts, int]:
        if height not in self._tipsets:
            facts = self.client.chain_get_tipset_by_height(height, self.head.key)
            self._tipsets[height] = (facts, self._nonce(facts.key))
        return self._tipsets[height]

    def _nonce(self, key: str) -> int:
        try:
            return self.client.state_get_actor(self.address, key).nonce
        except NodeRefused as error:
            if error.is_missing_actor:
                return 0
            raise

    def _read(self, above: TipsetFacts) -> list[Landed]:
        """Read what a tipset executed for this address."""
        messages = self.client.chain_get_parent_messages(above.cids[0])
        receipts = self.client.chain_get_parent_receipts(above.cids[0]) if messages else []
        if len(messages) != len(receipts):
            raise NodeRefused(0, f"messages not match receipts, {len(messages)} != {len(receipts)}")
        below = self.client.chain_get_tipset(above.parent_key)
        executed_at = datetime.fromtimestamp(above.timestamp, tz=UTC)
        return [
            Landed(
                str(cid), message, receipt, below.height, below.key, above.key, executed_at, below.base_fee
            )
            for (cid, message), receipt in zip(messages, receipts, strict=True)
            if address_format(message.from_) == self.address
        ]


def sent_messages_read(
    address: str, *, start: int, head: Head, client: ChainClient
) -> list[tuple[ChainMessage, datetime | None]]:
    """Return what an address sent with the nonces from `start`, each with when it was executed.

    What is in the node's pool was not yet.
    """
    history = History(address, client, head)
    landed = history.landed(range(start, history.nonce_at(head.height)))
    pending = [one.message for one in client.mpool_pending() if str(one.message.from_) == address]
    return [
        *((one.message, one.executed_at) for one in landed.values()),
        *((one, None) for one in pending if one.nonce >= start),
    ]
