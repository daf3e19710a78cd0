"""A request with an Idempotency-Key is carried out once; the same request again gets the same answer."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

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
    asks_network: bool = False,
) -> Any:
    """Carry a request out unless this caller's key already was; then repeat the answer.

    `refusal` checks a caller whose request is only repeated: their token may have been revoked since.

    The answer is kept in the transaction that did the work, so a kill between the two keeps neither.
    A second request that comes meanwhile waits.  Only answers below 400 are kept.

    Work that `asks_network` may be in no transaction while it waits for the answer.  Its answer is kept right
    after it, so such work must be refused by itself where it was done before.
    """
    try:
        if not KEY.fullmatch(key):
            raise BadValue("must be 1 to 100 visible ASCII characters", field="Idempotency-Key")
        mine = {"caller": caller_digest(request), "key": key}
        if asks_network and not IdempotentAnswer.objects.filter(**mine).exists():
            response = answer()
            response.render()
            if response.status_code < 400:
                row = IdempotentAnswer(**mine, request=request_digest(request), **_kept(response))
                IdempotentAnswer.objects.bulk_create([row], ignore_conflicts=True)
            return response
        with transaction.atomic():
            row, made = IdempotentAnswer.objects.select_for_update().get_or_create(
                **mine, defaults={"request": request_digest(request)}
            )
            if not made:
                return refusal() or repeated(row, request_digest(request))
            response = answer()
            response.render()
            if response.status_code >= 400:
                transaction.set_rollback(True)  # a refusal changed nothing and may be asked again
            else:
                IdempotentAnswer.objects.filter(pk=row.pk).update(**_kept(response))
            return response
    except DomainError as error:
        return JsonResponse(error_body(error), status=http_status(error))


def _kept(response: HttpResponse) -> dict[str, Any]:
    return {"status": response.status_code, "body": text_encrypt(response.content.decode())}


def repeated(row: IdempotentAnswer, request: str) -> HttpResponse:
    """Return the kept answer, which may hold a new token and is therefore encrypted.

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
    shown = "\0".join(
        (
            request.headers.get("Authorization", ""),
            request.GET.get("token", ""),
            request.headers.get("Cookie", ""),
        )
    )
    return hashlib.sha256(shown.encode()).hexdigest()


def request_digest(request: HttpRequest) -> str:
    """Return the digest of a request's route, parameters and body: a dry run is not what it prices."""
    words = sorted((name, text) for name, text in request.GET.items() if name != "token")
    route = f"{request.method} {request.path}" + (f"?{urlencode(words)}" if words else "")
    return hashlib.sha256(f"{route}\0".encode() + request.body).hexdigest()
