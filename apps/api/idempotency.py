"""A request with an Idempotency-Key is carried out once; the same request again gets the same answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.api.errors import IdempotencyKeyReused, RequestInProgress, error_body, http_status
from apps.core import clock
from apps.core.errors import BadValue, Conflict, DomainError
from apps.core.locks import try_lock
from apps.users.rules.encryption import DecryptionFailed, text_decrypt
from apps.users.services.idempotency import (
    idempotent_answer_complete,
    idempotent_answer_keep,
    idempotent_answer_read,
    idempotent_answer_release,
    idempotent_answer_reserve,
)

if TYPE_CHECKING:
    from apps.users.models import IdempotentAnswer

KEY: Final = re.compile(r"[\x21-\x7e]{1,100}")
"""What a key may look like: up to 100 visible ASCII characters."""

REQUEST_LOCK: Final = 0x4950
"""Lock class of requests that are carried out in no transaction."""


def answered_once(
    answer: Callable[[], Any],
    request: HttpRequest,
    key: str,
    *,
    refusal: Callable[[], HttpResponse | None],
    asks_network: bool = False,
) -> Any:
    """Carry a request out unless this caller's key already was; then repeat the answer.

    `refusal` checks a caller whose request is only repeated: their token may have been revoked since.

    The answer is stored in the transaction that did the work, so a kill between the two leaves neither.
    A second request that comes meanwhile waits.  Only answers below 400 are stored.

    Work that `asks_network` may be in no transaction while it waits for the answer: its key is reserved
    before, so that the same request meanwhile is refused, however long the work takes.  If its process is
    killed, the same request is carried out again after some minutes: such work is safe to repeat.
    """
    try:
        if not KEY.fullmatch(key):
            raise BadValue("must be 1 to 100 visible ASCII characters", field="Idempotency-Key")
        caller, digest = caller_digest(request), request_digest(request)
        if asks_network:
            return _answered_without_transaction(
                answer, caller=caller, key=key, digest=digest, refusal=refusal
            )
        with idempotent_answer_keep(caller=caller, key=key, request=digest) as (row, is_new):
            if not is_new:
                return refusal() or repeated(row, digest)
            response = answer()
            response.render()
            if response.status_code < 400:
                idempotent_answer_complete(row, status=response.status_code, body=response.content.decode())
            return response
    except DomainError as error:
        return JsonResponse(error_body(error), status=http_status(error))


def _answered_without_transaction(
    answer: Callable[[], Any],
    *,
    caller: str,
    key: str,
    digest: str,
    refusal: Callable[[], HttpResponse | None],
) -> Any:
    """Carry a request out in no transaction, unless this key's was or is.  Raises RequestInProgress."""
    row, is_due = idempotent_answer_reserve(caller=caller, key=key, request=digest, now=clock.now())
    if not is_due:
        if row.request == digest and not row.status:
            raise RequestInProgress("the same request is being carried out", field="Idempotency-Key")
        return refusal() or repeated(row, digest)
    with try_lock(REQUEST_LOCK, str(row.pk)) as is_free:
        if not is_free:
            raise RequestInProgress("the same request is still being carried out", field="Idempotency-Key")
        stored = idempotent_answer_read(row)  # its process may have answered before it released the lock
        if stored is None:
            raise RequestInProgress("the same request was just refused", field="Idempotency-Key")
        return (refusal() or repeated(stored, digest)) if stored.status else _answer_reserved(answer, row)


def _answer_reserved(answer: Callable[[], Any], row: IdempotentAnswer) -> Any:
    """Carry out the request that reserved the row; one that is refused frees its key."""
    status = 0
    try:
        response = answer()
        response.render()
        status = response.status_code
    finally:
        if not 0 < status < 400:
            idempotent_answer_release(row)
    if status < 400:
        idempotent_answer_complete(row, status=status, body=response.content.decode())
    return response


def repeated(row: IdempotentAnswer, request: str) -> HttpResponse:
    """Return the stored answer, which may hold a new token and is therefore encrypted.

    Raises IdempotencyKeyReused if it belongs to another request, Conflict if the site has another key since.
    """
    if row.request != request:
        raise IdempotencyKeyReused(
            "this key was already used for a different request", field="Idempotency-Key"
        )
    try:
        body = text_decrypt(row.body)
    except DecryptionFailed:
        raise Conflict(
            "this request was already carried out, but its response can no longer be repeated"
        ) from None
    response = HttpResponse(body, status=row.status, content_type="application/json")
    response["Idempotent-Replay"] = "true"
    return response


def caller_digest(request: HttpRequest) -> str:
    """Return the digest of a caller's credentials, so that nobody finds another's answers."""
    credentials = "\0".join(
        (
            request.headers.get("Authorization", ""),
            request.GET.get("token", ""),
            request.headers.get("Cookie", ""),
        )
    )
    return hashlib.sha256(credentials.encode()).hexdigest()


def caller_key(request: HttpRequest) -> str:
    """Return a name for a request's key that no other caller's has; empty where it has none."""
    key = request.headers.get("Idempotency-Key", "")
    return hashlib.sha256(f"{caller_digest(request)}\0{key}".encode()).hexdigest() if key else ""


def request_digest(request: HttpRequest) -> str:
    """Return the digest of a request's route, parameters and body: a dry run is not what it prices."""
    parameters = sorted((name, text) for name, text in request.GET.items() if name != "token")
    route = f"{request.method} {request.path}" + (f"?{urlencode(parameters)}" if parameters else "")
    return hashlib.sha256(f"{route}\0".encode() + request.body).hexdigest()
