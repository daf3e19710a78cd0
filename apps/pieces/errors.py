"""Refusals about pieces."""

from __future__ import annotations

from collections.abc import Iterable

from apps.core.errors import BadValue, Conflict, DomainError, NotFound
from apps.core.formatting import joined_size
from apps.core.marked_texts import gettext


class PieceUnknown(NotFound):
    """No such piece or upload, or not for this caller."""

    code = "piece_unknown"

    def __init__(self, name: object) -> None:
        super().__init__(gettext("there is no piece {name}").format(name=str(name)[:100]), field="piece_cid")


class PieceAmbiguous(Conflict):
    """Several pieces have the commitment, under other terms or at other miners."""

    code = "piece_ambiguous"

    def __init__(self, uploads: Iterable[object]) -> None:
        super().__init__(
            gettext("several pieces have this commitment: name one of the uploads {uploads}").format(
                uploads=", ".join(map(str, uploads))
            ),
            field="piece_cid",
        )


class PieceTooLarge(DomainError):
    """More bytes than the miner's sectors, or the announced length, have room for."""

    code = "piece_too_large"

    def __init__(self, most: int) -> None:
        super().__init__(gettext("this piece may have at most {most} bytes").format(most=most))


class PieceTooLate(DomainError):
    """Data that arrive now cannot be active by the requested epoch."""

    code = "piece_too_late"

    def __init__(self, first: int) -> None:
        text = gettext("data sent now cannot be active before epoch {first}")
        super().__init__(text.format(first=first), field="start_epoch")


class PieceQuotaExceeded(Conflict):
    """More bytes than the tenant's quota leaves."""

    code = "piece_quota_exceeded"

    def __init__(self, *, limit: int, used: int, requested: int, field: str, is_stated: bool) -> None:
        self.limit, self.used, self.requested = limit, used, requested
        """Raw bytes."""
        limit_text, used_text, requested_text = (joined_size(count) for count in (limit, used, requested))
        reason = gettext(
            "the pieces of this tenant take {used} of at most {limit}, and {requested} more do not fit: "
            "remove pieces, or have the pool's operator raise the quota"
        )
        if not is_stated:
            reason = gettext(
                "the pieces of this tenant take {used} of at most {limit}, and {requested}, the most that a "
                "piece of unknown size may have, do not fit: state its size"
            )
        super().__init__(
            reason.format(used=used_text, limit=limit_text, requested=requested_text), field=field
        )


class PieceEmpty(BadValue):
    """A piece without bytes."""

    code = "piece_empty"

    def __init__(self) -> None:
        super().__init__(gettext("a piece must have at least one byte"))


class PieceMismatch(BadValue):
    """The bytes do not have the announced commitment."""

    code = "piece_mismatch"

    def __init__(self, *, announced: str, computed: str) -> None:
        super().__init__(
            gettext("the announced commitment is {announced}, but the bytes have {computed}").format(
                announced=announced, computed=computed
            ),
            field="Piece-Cid",
        )


class BadOffset(Conflict):
    """A part of an upload that does not begin where the last one ended."""

    code = "bad_offset"

    def __init__(self, received: int) -> None:
        self.received = received
        super().__init__(
            gettext("the next offset of this upload is {received}").format(received=received),
            field="Upload-Offset",
        )


class PieceBusy(Conflict):
    """Another request writes to the same upload."""

    code = "piece_busy"

    def __init__(self) -> None:
        super().__init__(gettext("another request is working on this piece"))


class UploadIncomplete(Conflict):
    """The body ended before its announced length, or the caller left."""

    code = "upload_cut"


class PieceNotServed(Conflict):
    """A piece of a miner whose data nobody may retrieve."""

    code = "piece_not_served"


class PieceInSector(Conflict):
    """What is in a sector, or on its way into one, is not removed."""

    code = "piece_in_sector"


class PieceFailed(Conflict):
    """A piece that has failed goes into no sector any more."""

    code = "piece_over"


class TermsMissing(Conflict):
    """The chain lacks the allocation or the deal of a piece: not yet, no more, or until a reorganisation."""

    code = "terms_missing"


class CommitmentFailed(DomainError):
    """The program that computes commitments did not end well."""

    code = "commitment_failed"


class PieceSealed(Conflict):
    """The bytes are in a sealed sector only."""

    code = "piece_sealed"

    def __init__(self) -> None:
        super().__init__(gettext("no unsealed copy of this piece is kept"), field="piece_cid")
