"""Refusals about what is done with proven sectors: snap-ups, rebuilds and unsealing."""

from __future__ import annotations

from apps.core.errors import Conflict, NotFound
from apps.core.marked_texts import gettext


class NotUnsealed(Conflict):
    """There are no unsealed bytes to be had, or none to be removed."""

    code = "not_unsealed"


class UnsealFailed(Conflict):
    """A host tried to unseal it and failed."""

    code = "unseal_failed"


class UnsealsUnderWay(Conflict):
    """Other pieces are unsealed first."""

    code = "unseals_under_way"

    def __init__(self) -> None:
        super().__init__(gettext("other pieces are unsealed first"), field="piece_cid")


class RunUnknown(NotFound):
    """Nothing of this kind is under way for the sector."""

    code = "run_unknown"

    def __init__(self, kind: str) -> None:
        super().__init__(gettext("no {kind} in progress for this sector").format(kind=kind), field="sector")


class RunUnderWay(Conflict):
    """Data go into the sector, or it is made again, already."""

    code = "run_under_way"


class NotCommittedCapacity(Conflict):
    """Data can only go into a sector of zeros that the chain has as active."""

    code = "not_committed_capacity"


class LifeTooShort(Conflict):
    """The sector ends before what is to go into it may."""

    code = "life_too_short"


class NoPieces(Conflict):
    """No piece waits that fits, or the named ones do not."""

    code = "no_pieces"


class NoHost(Conflict):
    """No sealing host has the store, or none is there."""

    code = "no_host"


class PiecesMissing(Conflict):
    """The raw bytes of the sector's pieces are not kept, and only its replica had them."""

    code = "pieces_gone"


class NotRebuildable(Conflict):
    """The pool does not know of what the replica was made."""

    code = "not_rebuildable"
