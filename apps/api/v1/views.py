"""What every REST view shares: who calls, sizes, errors with code, message and field, repeated requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, cast

import structlog
from django.conf import settings
from django.http import Http404
from django.utils.translation import override
from rest_framework import exceptions, status
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.api.errors import (
    BodyTooLarge,
    Malformed,
    NotAcceptable,
    RangeUnsatisfiable,
    RateLimited,
    WrongMethod,
    WrongType,
    domain_error,
    error_body,
    http_status,
    sendable,
)
from apps.api.idempotency import answered_once
from apps.api.v1.access import MayCall, PersonAuthentication, TokenAuthentication
from apps.api.v1.serializers import InputSerializer, checked, writable
from apps.core.errors import BadValue, DomainError, NotAllowed, NotFound, NotReachable
from apps.core.health import RETRY_AFTER_S
from apps.core.marked_texts import gettext
from apps.core.reasons import shown_text
from apps.pieces.errors import BadOffset, PieceQuotaExceeded
from apps.sectors.errors.changes import ChangeRefused
from apps.users.errors import TokenRefused
from apps.users.rules.principals import Principal
from apps.users.rules.rate_limits import Usage
from apps.users.services.rate_limit_buckets import rate_limit_count
from poolsite.wire.jsonrpc.messages import json_read

log = structlog.get_logger(__name__)

PAGE_LANGUAGE: Final = "X-Page-Language"
"""Header by which a page's script has a refusal told in the language of its page; programs read English."""


class BodyParser(JSONParser):
    """JSON of a limited size and depth."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:  # noqa: ARG002
        """Read the body.  Raises Malformed for what is no JSON, however deep it nests."""
        try:
            return json_read(stream.read().decode(), is_unique=True)
        except (ValueError, RecursionError) as error:
            raise Malformed(gettext("the body is not JSON: {error}").format(error=error)) from None


class RawRenderer(JSONRenderer):
    """Answer `Accept: application/octet-stream`; refusals are JSON all the same."""

    media_type = "application/octet-stream"
    format = "raw"


class PoolView(APIView):
    """A REST route.  Subclasses set `perms`, `scope`, `operator_only`; parse, call one service, answer."""

    authentication_classes = [TokenAuthentication, PersonAuthentication]
    permission_classes = [MayCall]
    parser_classes = [BodyParser]

    perms: ClassVar[dict[str, str]] = {
        "GET": "read",
        "HEAD": "read",
        "OPTIONS": "read",
        "POST": "write",
        "PUT": "write",
        "PATCH": "write",
        "DELETE": "write",
    }
    """Level that each method needs."""
    scope: ClassVar[str] = ""
    """Scope of the view: a token with scopes reaches only views of those."""
    scopes: ClassVar[tuple[str, ...]] = ()
    """Several scopes, any of which will do; instead of `scope`."""
    operator_only: ClassVar[bool] = False
    operator_methods: ClassVar[tuple[str, ...]] = ()
    """Methods that are the operator's, where not all are."""
    whole_methods: ClassVar[tuple[str, ...]] = ()
    """Methods that concern a tenant as a whole: not for a token for some of its miners or signers."""
    confirmed_methods: ClassVar[tuple[str, ...]] = ()
    """Methods for which a person must have proved lately who they are."""
    bodiless_methods: ClassVar[tuple[str, ...]] = ("DELETE",)
    """Methods that take no body: any field in one is refused, as a misspelt one is elsewhere."""
    filters: ClassVar[tuple[str, ...] | None] = ()
    """Parameters that a GET may have besides the token; None where the view itself looks at them."""
    repeatable: ClassVar[tuple[str, ...]] = ()
    """Parameters that may be given several times; of any other the last would win unseen."""
    write_parameters: ClassVar[tuple[str, ...] | None] = ()
    """The same of a method that writes: without a refusal a misspelt `dry_run` would be the act itself."""
    asks_network: ClassVar[bool] = False
    """Whether a POST waits for a node, a signer or a prover: see `answered_once`."""
    keeps_answers: ClassVar[bool] = True
    """Whether the answer to a POST with an Idempotency-Key is stored; if not, the key is not looked at."""
    body_max_bytes: ClassVar[int] = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 4 * 1024 * 1024
    """Above it the answer is 413."""

    streams_body: ClassVar[bool] = False
    """Whether the view reads its body as it comes."""

    usage: Usage | None = None
    """What is left of the caller's rate, where it has one."""

    @property
    def principal(self) -> Principal:
        """Return who calls; permission was checked before the method runs."""
        return cast("Principal", self.request.auth)

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        """Set the length of a body that came in chunks: DRF takes one without a length for none."""
        if not self.streams_body and not request.META.get("CONTENT_LENGTH"):
            request.META["CONTENT_LENGTH"] = str(len(request.body))
        return super().initialize_request(request, *args, **kwargs)

    def get_parsers(self) -> list[Any]:
        """Read forms, too, for a method without a body: their fields are refused by name, none is no body."""
        forms = [FormParser(), MultiPartParser()]
        method = getattr(self.request, "method", "")
        return super().get_parsers() + (forms if method in self.bodiless_methods else [])

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what the route has no method for, a large body before anybody reads it, misspelt filters."""
        if getattr(self, (request.method or "").lower(), None) is None:
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)
        if any("\0" in str(value) for value in kwargs.values()):
            raise NotFound(gettext("not found"))
        self.usage = rate_limit_count(self.principal, service="rest", api=type(self).__name__)
        if self.usage is not None and self.usage.is_over:
            raise RateLimited(self.usage, principal=self.principal, method=type(self).__name__)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > self.body_max_bytes:
            raise BodyTooLarge(
                gettext("the body may have at most {most} bytes").format(most=self.body_max_bytes)
            )
        self.query_check(request)
        if request.method in self.bodiless_methods and request.data:
            checked(InputSerializer(data=request.data))

    def query_check(self, request: Request) -> None:
        """Refuse parameters that nobody reads, or not all of.  Raises BadValue."""
        reads = request.method in ("GET", "HEAD")
        known = self.filters if reads else self.write_parameters
        for name, texts in sorted(request.query_params.lists()):
            if known is not None and name not in {*known, "token"}:
                what = "filter" if reads else "parameter"
                raise BadValue(gettext("there is no such {what}").format(what=what), field=writable(name))
            if len(texts) > 1 and name not in self.repeatable:
                raise BadValue(gettext("is given more than once"), field=writable(name))
            if any("\0" in text for text in texts):
                raise BadValue(gettext("null characters are not allowed"), field=writable(name))

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer; a POST with an Idempotency-Key is carried out once and then repeated word for word."""
        key = request.headers.get("Idempotency-Key")
        if request.method == "POST" and key is not None and self.keeps_answers:
            answer = self.answer_plain
            return answered_once(
                lambda: answer(request, *args, **kwargs),
                request,
                key,
                refusal=lambda: self.refusal(request, *args, **kwargs),
                asks_network=self.asks_network,
            )
        return super().dispatch(request, *args, **kwargs)

    def refusal(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Check a request that is not carried out as if it were; None if its caller may have the answer."""
        self.args, self.kwargs, self.headers = args, kwargs, self.default_response_headers
        checked = self.request = self.initialize_request(request, *args, **kwargs)
        try:
            self.initial(checked, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # as in DRF's dispatch: handle_exception re-raises what is no refusal
            answer = self.finalize_response(checked, self.handle_exception(error), *args, **kwargs)
            return answer.render()
        return None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what is left of the caller's rate."""
        if self.usage is not None:
            for name, value in self.usage.headers().items():
                response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)

    @property
    def answer_plain(self) -> Callable[..., Any]:
        """The undecorated way to answer."""
        return super().dispatch

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Return our own mapping instead of DRF's."""
        return exception_answer


UNSUITED: Final[tuple[tuple[type[Exception], type[DomainError]], ...]] = (
    (exceptions.MethodNotAllowed, WrongMethod),
    (exceptions.UnsupportedMediaType, WrongType),
    (exceptions.NotAcceptable, NotAcceptable),
    (exceptions.APIException, DomainError),
)
"""Requests that do not suit their route, by DRF's name and ours; the first row that fits decides."""


def exception_answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn a refusal into `{"code", "message", "field"}`; None leaves an unforeseen error to Django (500)."""
    refusal = refusal_of(error)
    if refusal is None:
        return None
    answer = Response(error_body(refusal), status=http_status(refusal))
    language = context["request"].headers.get(PAGE_LANGUAGE, "")
    if language in dict(settings.LANGUAGES):
        with override(language):
            answer.data["message"] = sendable(shown_text(refusal.reason))
    if isinstance(refusal, TokenRefused):
        answer["WWW-Authenticate"] = "Bearer"
    if isinstance(refusal, NotReachable):
        answer["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(refusal, RangeUnsatisfiable):
        answer["Content-Range"] = f"bytes */{refusal.size}"
    if isinstance(refusal, BadOffset):
        answer.data["received"] = refusal.received
    if isinstance(refusal, PieceQuotaExceeded):
        answer.data |= {"limit": refusal.limit, "used": refusal.used, "requested": refusal.requested}
    if isinstance(refusal, ChangeRefused):
        answer.data["refused"] = [{"uuid": str(uuid), "reason": why} for uuid, why in refusal.refused.items()]
    if isinstance(error, exceptions.APIException) and not isinstance(error, exceptions.ValidationError):
        answer.status_code = error.status_code
    return answer


def refusal_of(error: Exception) -> DomainError | None:
    """Read Django's and DRF's refusals as ours."""
    if isinstance(error, Http404):
        return NotFound(gettext("not found"))
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return TokenRefused("a token is required: send 'Authorization: Bearer <token>'")
    if isinstance(error, exceptions.PermissionDenied):
        return NotAllowed(str(error.detail))
    if isinstance(error, exceptions.ValidationError):
        field, reason = first_complaint(error.detail)
        return BadValue(reason, field=field)
    if isinstance(error, exceptions.ParseError):
        return Malformed(str(error.detail))
    kind = next((kind for raised, kind in UNSUITED if isinstance(error, raised)), None)
    if kind is not None:
        return kind(str(error))
    return domain_error(error)


def first_complaint(detail: Any, path: str = "") -> tuple[str, str]:
    """Find the first field of a validation error and what is wrong with it."""
    if isinstance(detail, dict):
        key, inner = next(iter(detail.items()))
        if key == "non_field_errors":
            return first_complaint(inner, path)
        return first_complaint(inner, f"{path}.{key}" if path else str(key))
    if isinstance(detail, list):
        for index, inner in enumerate(detail):
            if isinstance(inner, dict):
                if inner:
                    return first_complaint(inner, f"{path}.{index}" if path else str(index))
            else:
                return path, str(inner)
        return path, "is not valid"
    return path, str(detail)


def created(body: Any) -> Response:
    """Answer 201."""
    return Response(body, status=status.HTTP_201_CREATED)
