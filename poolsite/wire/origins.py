"""Which message of which pool a signature is for: sent with the request, kept in the signer's records.

venus-wallet does not know the field and passes over it.
"""

from __future__ import annotations

from typing import Final

from poolsite.wire.codec import BadWire, Document, Int, Text

ORIGIN_FIELD: Final = "Origin"
"""Of a `WalletSign` request, beside `Signer`, `ToSign` and `Meta`."""
TRACE_FIELD: Final = "Trace"
"""Field of an event, beside `Id`, `Method` and `Payload`: the caller's `traceparent`, if traces are on."""
SIGNED_FIELD: Final = "AlreadySigned"
"""Of the answer where the id was signed with another nonce: the messages that were signed, newest first."""
IDS_METHOD: Final = "SignedIds"
"""`IdsAsked`, answered by `IdsFound`."""
TEXT_MAX: Final = 300
CIDS_MAX: Final = 1000
"""Of one question."""


class Origin(Document, frozen=True, kw_only=True):
    """A message of a pool, as one selection has it signed."""

    pool: Text
    """UUID of the pool's database; a restored one has the same."""
    id: Text
    """Of the message, as its caller chose it: unique in the account."""
    account: Text = ""
    """Name of the tenant whose message it is; empty: the pool's own."""
    kind: Text = ""
    """What it is for, as the console keeps it."""
    selection: Text = ""
    """UUID of the selection.  It may have a message signed again with another nonce: nobody else has seen
    what it asked for before, and it stores the last one only."""
    step: Int = 0
    """Grows with each question of a selection; a late duplicate has a lower one."""
    dead: tuple[Int, ...] = ()
    """Nonces with which the id was signed and that other messages have used on chain for good."""

    def __post_init__(self) -> None:
        for field in ("pool", "id", "account", "kind", "selection"):
            if len(getattr(self, field)) > TEXT_MAX:
                raise BadWire(field, f"must have at most {TEXT_MAX} characters")


class IdsAsked(Document, frozen=True, kw_only=True):
    """Which messages the signer signed under these CIDs (of the unsigned messages)."""

    pool: Text
    cids: tuple[Text, ...]

    def __post_init__(self) -> None:
        if len(self.cids) > CIDS_MAX:
            raise BadWire("cids", f"must have at most {CIDS_MAX} entries")


class IdFound(Document, frozen=True, kw_only=True):
    """The signer's record of one CID."""

    cid: Text
    id: Text
    account: Text
    kind: Text


class IdsFound(Document, frozen=True, kw_only=True):
    """Those of the CIDs that the signer signed for this pool."""

    found: tuple[IdFound, ...] = ()
