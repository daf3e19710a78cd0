"""Payloads of a channel: base64 of JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.conf import settings

from apps.core.marked_texts import gettext
from apps.gateway.errors import AnswerTooLarge, ProviderRefused
from poolsite.wire.jsonrpc.messages import json_read

Json = Any


def pack(value: Json) -> str | None:
    """Write a payload: base64 of JSON, null for nothing."""
    return None if value is None else base64.b64encode(json.dumps(value).encode()).decode()


def unpack(text: Json) -> Json:
    """Read a payload.  Raises ProviderRefused for what is none, AnswerTooLarge."""
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise ProviderRefused(gettext("the response payload is not a string"))
    if len(text) > settings.PROVIDER_RESPONSE_MAX_BYTES:
        raise AnswerTooLarge(
            gettext("the response is larger than {most} bytes").format(
                most=settings.PROVIDER_RESPONSE_MAX_BYTES
            )
        )
    try:
        return json_read(base64.b64decode(text, validate=True).decode())
    except (ValueError, RecursionError):
        raise ProviderRefused(gettext("the response is not base64-encoded JSON")) from None
