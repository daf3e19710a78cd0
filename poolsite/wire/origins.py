"""Which message of which pool a signature is for: sent with the request, kept in the signer's records.

venus-wallet does not know the field and passes over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.wire.codec import BadWire

ORIGIN_FIELD: Final = "Origin"
"""Of a `WalletSign` request, beside `Signer`, `ToSign` and `Meta`."""
SIGNED_FIELD: Final = "AlreadySigned"
"""Of the answer where the id was signed with another nonce: the messages that were signed, newest first."""
IDS_METHOD: Final = "SignedIds"
"""`IdsAsked`, answered by `IdsFound`."""
TEXT_MAX: Final = 300
CIDS_MAX: Final = 1000
"""Of one question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A message of a pool, as one selection has it signed."""

    pool: str
    """UUID of the pool's database; a restored one has the same."""
    id: str
    """Of the message, as its caller chose it: unique in the account."""
    account: str = ""
    """Name of the tenant whose message it is; empty: the pool's own."""
    kind: str = ""
    """What it is for, as the console keeps it."""
    selection: str = ""
    """UUID of the selection.  It may have a message signed again with another nonce: nobody else has seen
    what it asked for before, and it stores the last one only."""
    step: int = 0
    """Grows with each question of a selection; a late duplicate has a lower one."""
    dead: tuple[int, ...] = ()
    """Nonces with which the id was signed and that other messages have used on chain for good."""

    def __post_init__(self) -> None:
        for field in ("pool", "id", "account", "kind", "selection"):
            if len(getattr(self, field)) > TEXT_MAX:
                raise BadWire(field, f"must have at most {TEXT_MAX} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdsAsked:
    """Which messages the signer signed under these CIDs (of the unsigned messages)."""

    pool: str
    cids: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.cids) > CIDS_MAX:
            raise BadWire("cids", f"must be at most {CIDS_MAX}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdFound:
    """What the signer's record says of one CID."""

    cid: str
    id: str
    account: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdsFound:
    """Those of the CIDs that the signer signed for this pool."""

    found: tuple[IdFound, ...] = ()
