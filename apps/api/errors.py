"""Refusals as answers: the one place where a domain error becomes an HTTP status or a JSON-RPC code."""

from __future__ import annotations

from typing import Final

from apps.core.addresses import address_fault
from apps.core.errors import BadValue, Conflict, DomainError, NotAllowed, NotFound, NotReachable
from apps.core.marked_texts import gettext
from apps.gateway.errors import AccountNotAgreed
from apps.pieces.errors import PieceTooLarge
from apps.users.errors import TokenRefused
from apps.users.rules.principals import Principal
from apps.users.rules.rate_limits import Usage
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.cids import BadCid
from poolsite.filecoin.kinds import BadField
from poolsite.wire.codec import BadWire
from poolsite.wire.jsonrpc.messages import CODE_NOT_AGREED

PROTOCOL_ERRORS: Final = (BadAddress, BadCid, BadField, BadWire)
"""What the plain libraries raise for input that cannot be read."""

RPC_REFUSED: Final = 1
"""go-jsonrpc's code of every error that a method returned."""
RPC_UNAUTHORIZED: Final = 401
"""The fork's AuthError."""


class BodyTooLarge(DomainError):
    """A request body above the limit of its route."""

    code = "body_too_large"


class RangeUnsatisfiable(DomainError):
    """A range of bytes outside of what there is."""

    code = "range_unsatisfiable"

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(gettext("the content has only {size} bytes").format(size=size), field="Range")


class Malformed(BadValue):
    """A body that is not JSON."""

    code = "malformed"


class WrongMethod(DomainError):
    """The route has no such HTTP method."""

    code = "method_not_allowed"


class WrongType(DomainError):
    """The body is not JSON by its Content-Type."""

    code = "unsupported_media_type"


class NotAcceptable(DomainError):
    """The caller takes no JSON."""

    code = "not_acceptable"


class IdempotencyKeyReused(Conflict):
    """The key was used for another request."""

    code = "idempotency_key_reused"


class RequestInProgress(Conflict):
    """The same request with the same key has not been answered yet."""

    code = "request_in_progress"


class RateLimited(DomainError):
    """The caller has used up what it may ask for now."""

    code = "rate_limited"

    def __init__(self, usage: Usage, *, principal: Principal, method: str) -> None:
        self.usage = usage
        super().__init__(usage.refusal_text(user=principal.tenant_name, host=principal.source, method=method))


HTTP_STATUSES: Final[tuple[tuple[type[DomainError], int], ...]] = (
    (TokenRefused, 401),
    (NotAllowed, 403),
    (NotFound, 404),
    (Conflict, 409),
    (WrongMethod, 405),
    (NotAcceptable, 406),
    (BodyTooLarge, 413),
    (PieceTooLarge, 413),
    (WrongType, 415),
    (RangeUnsatisfiable, 416),
    (RateLimited, 429),
    (NotReachable, 503),
    (BadValue, 400),
    (DomainError, 422),
)
"""The first row whose class fits decides."""


def http_status(error: DomainError) -> int:
    """Return the HTTP status of a refusal."""
    return next(status for kind, status in HTTP_STATUSES if isinstance(error, kind))


def error_body(error: DomainError) -> dict[str, str]:
    """Return the JSON of a refusal."""
    return {"code": error.code, "message": sendable(error.reason), "field": sendable(error.field)}


def sendable(text: str) -> str:
    """Return a text with a question mark for each half of a surrogate pair, which has no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def domain_error(error: Exception) -> DomainError | None:
    """Read a library's complaint as a domain error; None if it is neither."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, BadField | BadWire):
        return BadValue(error.reason, field=error.field)
    if isinstance(error, BadAddress):
        return BadValue(address_fault(error), wire=str(error))
    if isinstance(error, PROTOCOL_ERRORS):
        return BadValue(str(error))
    return None


def rpc_code(error: DomainError) -> int:
    """Return the JSON-RPC code of a refusal."""
    if isinstance(error, AccountNotAgreed):
        return CODE_NOT_AGREED
    return RPC_UNAUTHORIZED if isinstance(error, TokenRefused) else RPC_REFUSED
