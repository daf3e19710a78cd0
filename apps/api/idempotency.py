"""A request with an Idempotency-Key is carried out once; the same request again gets the same answer."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.http import HttpResponse, JsonResponse

from apps.api.errors import IdempotencyKeyReused, error_body, http_status
from apps.api.models import IdempotentAnswer
from apps.core.errors import BadValue, Conflict, DomainError
from apps.users.encryption import DecryptionFailed, text_decrypt, text_encrypt

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

KEY: Final = re.compile(r"[\x21-\x7e]{1,100}")
"""What a key may look like: up to 100 visible ASCII characters."""


def answered_once(
    answer: Callable[[], Any],
    request: HttpRequest,
    key: str,
    *,
    refusal: Callable[[], HttpResponse | None],
) -> Any:
    """Carry a request out unless this caller's key already was; then repeat the answer.

    `refusal` checks a caller whose request is only repeated: their token may have been revoked since.

    The answer is kept in the transaction that did the work, so a kill between the two keeps neither.
    A second request that comes meanwhile waits.  Only answers below 500 are kept.
    """
    try:
        if not KEY.fullmatch(key):
            raise BadValue("must be 1 to 100 visible ASCII characters", field="Idempotency-Key")
        with transaction.atomic():
            row, made = IdempotentAnswer.objects.select_for_update().get_or_create(
                caller=caller_digest(request), key=key, defaults={"request": request_digest(request)}
            )
            if not made:
                return refusal() or repeated(row, request_digest(request))
            response = answer()
            response.render()
            if response.status_code >= 400:
                transaction.set_rollback(True)  # a refusal changed nothing and may be asked again
            else:
                row.status, row.body = response.status_code, text_encrypt(response.content.decode())
                row.save()
            return response
    except DomainError as error:
        return JsonResponse(error_body(error), status=http_status(error))


def repeated(row: IdempotentAnswer, request: str) -> HttpResponse:
    """Return the kept answer, which may hold a new token and is therefore encrypted.

    Raises IdempotencyKeyReused if it belongs to another request, Conflict if the site has another key since.
    """
    if row.request != request:
        raise IdempotencyKeyReused("this key was used for another request", field="Idempotency-Key")
    try:
        body = text_decrypt(row.body)
    except DecryptionFailed:
        raise Conflict("this was done already, its answer cannot be repeated") from None
    response = HttpResponse(body, status=row.status, content_type="application/json")
    response["Idempotent-Replay"] = "true"
    return response


def caller_digest(request: HttpRequest) -> str:
    """Return the digest of a caller's credentials, so that nobody finds another's answers."""
    shown = "\0".join(
        (
            request.headers.get("Authorization", ""),
            request.GET.get("token", ""),
            request.headers.get("Cookie", ""),
        )
    )
    return hashlib.sha256(shown.encode()).hexdigest()


def request_digest(request: HttpRequest) -> str:
    """Return the digest of a request's route and body."""
    return hashlib.sha256(f"{request.method} {request.path}\0".encode() + request.body).hexdigest()
