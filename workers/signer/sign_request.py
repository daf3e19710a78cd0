"""What a caller wants signed: its type, whose key, what it moves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.block import BlockHeader

VERIFY_ADDRESS: Final = "verifyaddress"
MESSAGE: Final = "message"
DEAL_PROPOSED: Final = "dealproposal"
CLIENT_DEAL: Final = "clientdeal"
VOUCHER: Final = "signedvoucher"
ASK: Final = "storageask"
ASK_ANSWER: Final = "askresponse"
DEAL_ANSWER: Final = "networkresposne"
"""So it is spelled on the wire."""
DEAL_STATE: Final = "providerdealstate"
BLOCK: Final = "block"
DRAW_RANDOM: Final = "drawrandomparam"
FINALITY: Final = "f3"
"""Votes of fast finality; lotus asks for them as `unknown`."""
UNKNOWN: Final = "unknown"
"""Bytes that mean nothing to anybody; signed only where a rule names them."""

MARKET: Final = (DEAL_PROPOSED, CLIENT_DEAL, VOUCHER, ASK, ASK_ANSWER, DEAL_ANSWER, DEAL_STATE)
"""Types of the storage and retrieval markets."""
TYPES: Final = (MESSAGE, BLOCK, DRAW_RANDOM, VERIFY_ADDRESS, *MARKET, UNKNOWN, FINALITY)


class Amounts(NamedTuple):
    """What requests move and cost at most, in attoFIL."""

    value: int = 0
    fee: int = 0
    premium: int = 0


@dataclass(frozen=True, slots=True)
class SignRequest:
    """What a caller wants signed, decoded."""

    type: str
    address: Address
    """Whose key."""
    payload: bytes
    """What the signature covers."""
    readings: tuple[str, ...] = ()
    """Of a message: every method that it can be, as `miner.SubmitWindowedPoSt`; all must be allowed."""
    to: Address | None = None
    payee: Address | None = None
    """Whom the value is for, where not `to` gets it: a new miner's owner, an escrow's; None: `to`."""
    value: int = 0
    """attoFIL that the message moves."""
    fee_max: int = 0
    """attoFIL that its gas can cost."""
    premium_max: int = 0
    """attoFIL of these that whoever makes the block can get; the others are burnt."""
    nonce: int | None = None
    """Of a message: of all with one nonce, whatever their fees, a chain takes one."""
    cid: str = ""
    raw: bytes = b""
    """The decoded object's own bytes, for the record."""
    about: str = ""
    """What there is to say of it beside its type."""
    header: BlockHeader | None = None
    """Of a block."""

    @property
    def amounts(self) -> Amounts:
        """Return what it adds to a day's sums."""
        return Amounts(self.value, self.fee_max, self.premium_max)

    @property
    def digest(self) -> str:
        """Identity of the request: the same bytes asked for again, by whatever way, have the same."""
        return self.cid or hashlib.sha256(self.payload).hexdigest()

    @property
    def group(self) -> str:
        """Return the key by which a day's sums count requests once.

        It is the nonce of a message, else the digest.
        """
        return self.digest if self.nonce is None else f"nonce {self.nonce}"

    @property
    def description(self) -> str:
        """One line for people."""
        if self.type != MESSAGE:
            return f"{self.type}: {self.about}" if self.about else self.type
        text = f"{MESSAGE}: {' or '.join(self.readings)} to {self.to}"
        return f"{text}: {self.about}" if self.about else text
