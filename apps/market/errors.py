"""Refusals about deals."""

from __future__ import annotations

import enum
from typing import Final

from apps.core.errors import Conflict, DomainError, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason

RETRY: Final = "Please retry in some time."
"""What a client is told whom the pool cannot serve now, in boost's words."""


class RefusalKind(enum.StrEnum):
    """Why a proposal is refused; each door has its own number for it."""

    BAD_PROPOSAL = "bad_proposal"
    UNAUTHORIZED = "unauthorized"
    BAD_SOURCE = "bad_source"
    UNSUPPORTED_SOURCE = "unsupported_source"
    UNSUPPORTED_PRODUCT = "unsupported_product"
    BAD_PRODUCT = "bad_product"
    REJECTED = "rejected"
    OVERLOADED = "overloaded"
    TOO_SHORT = "too_short"


class DealRefused(DomainError):
    """A proposal that the miner does not accept, in the words that providers use: clients compare them."""

    code = "deal_refused"

    def __init__(self, reason: str, *, kind: RefusalKind = RefusalKind.BAD_PROPOSAL) -> None:
        self.kind = kind
        super().__init__(reason)


class DealBusy(DealRefused):
    """There is no room, or too many deals wait already; later there may be."""

    code = "deal_busy"

    def __init__(self, cause: Reason) -> None:
        self.cause = cause
        """For the miner's people; the client is only told to come again."""
        super().__init__(RETRY, kind=RefusalKind.OVERLOADED)


class DealUnknown(NotFound):
    """No such deal, or not for this caller."""

    code = "deal_unknown"

    def __init__(self, name: object) -> None:
        super().__init__(gettext("there is no deal {name}").format(name=str(name)[:100]))


class ClientUnknown(NotFound):
    """No client of this address has proposed a deal to the caller's miners."""

    code = "client_unknown"

    def __init__(self, name: str) -> None:
        super().__init__(gettext("no client {name} has proposed a deal").format(name=name[:100]))


class ClientTokenUnknown(NotFound):
    """No such token of the client, or not for this caller."""

    code = "client_token_unknown"

    def __init__(self) -> None:
        super().__init__(gettext("there is no such token"))


class ClientTokenRefused(NotAllowed):
    """A client's token that is not known, was revoked or has expired."""

    code = "client_token_refused"


class DealGoesOn(Conflict):
    """A deal that is over, or in a message or sector: nobody ends it by hand."""

    code = "deal_goes_on"


class DealNeedsNoData(Conflict):
    """The data of a deal are here, or it has ended."""

    code = "deal_needs_no_data"


class DealDataComing(Conflict):
    """The data of a deal are coming already, another way."""

    code = "deal_data_coming"

    def __init__(self) -> None:
        super().__init__(gettext("its data are coming already"))


class ChunkRefused(Conflict):
    """A chunk that the upload has no place for."""

    code = "chunk_refused"
