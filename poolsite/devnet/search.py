"""Finding a message on chain.  Source: lotus chain/stmgr/searchwait.go, measured behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.tipset import Tipset, TipsetKey, tipset_key_from_bytes

if TYPE_CHECKING:
    from poolsite.devnet.chain import Chain
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import Message, Receipt, SignedMessage


class UnknownMessage(LookupError):
    """A CID that the node has never seen."""

    def __init__(self, cid: Cid) -> None:
        super().__init__(str(cid))
        self.cid = cid


class Replaced(Exception):
    """The message's nonce was used by another message; the text is lotus'."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where a message was executed."""

    cid: Cid
    """Itself, or the message that replaced it."""
    receipt: Receipt
    executed: Tipset
    """The tipset that executed it: the child of the one that carries it."""
    included: Tipset


class Search:
    """Looks messages up on the chain that ends in a tipset."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def find(self, cid: Cid, base: Tipset, *, limit: int = -1, allow_replaced: bool = True) -> Lookup | None:
        """Return the lookup, None while it is not on chain.  Raises UnknownMessage, Replaced.

        `limit`: how many epochs back from `base`; negative is all.
        """
        signed = self.chain.message(cid)
        if signed is None:
            raise UnknownMessage(cid)
        found = self._on_chain(cid, base, limit=limit)
        if found is not None:
            return found
        return self._replacement(signed, base, limit=limit, allow_replaced=allow_replaced)

    def _on_chain(self, cid: Cid, base: Tipset, *, limit: int) -> Lookup | None:
        for key, place in self.chain.store.inclusions(cid.data):
            included = self.chain.link(tipset_key_from_bytes(key)).tipset
            child = self._child(included, base)
            if child is None or (limit >= 0 and child.height < base.height - limit):
                continue
            receipt = self.chain.receipts(TipsetKey(included.cids))[place]
            return Lookup(cid, receipt, child, included)
        return None

    def _child(self, included: Tipset, base: Tipset) -> Tipset | None:
        """Return the tipset that executed `included` on the best chain, or on the branch of `base`."""
        head = self.chain.head.tipset
        top = base if not self.chain.is_canonical(base) else head
        if included.height >= top.height:
            return None
        if self.chain.is_canonical(top) and not self.chain.is_canonical(included):
            return None
        child = self.chain.at_height(included.height + 1, top, after=True)
        return child if child.parents == included.key else None

    def _replacement(
        self, signed: SignedMessage, base: Tipset, *, limit: int, allow_replaced: bool
    ) -> Lookup | None:
        sender = self.chain.sender_id(signed.message.from_)
        if sender is None:
            return None
        for data in self.chain.store.rivals(sender, signed.message.nonce):
            rival = self.chain.message_of(data)
            found = None if rival is None else self._on_chain(rival.cid, base, limit=limit)
            if rival is None or found is None or rival.cid == signed.cid:
                continue
            orig, new = signed.message, rival.message
            what = (
                "found message with equal nonce as the one we are looking for"
                if _is_replacement(orig, new)
                else "found message with equal nonce as the one we are looking for that is NOT a valid "
                "replacement message"
            )
            if _is_replacement(orig, new) and allow_replaced:
                return found
            raise Replaced(
                f"message was replaced: {what} (F:{signed.cid} n {orig.nonce}, TS: {rival.cid} n{new.nonce})"
                ": message was replaced"
            )
        return None


def _is_replacement(old: Message, new: Message) -> bool:
    """Return whether two messages differ in gas and fees only.  Source: Message.EqualCall."""
    return (old.from_, old.to, old.nonce, old.value, old.method, old.params) == (
        new.from_,
        new.to,
        new.nonce,
        new.value,
        new.method,
        new.params,
    )
