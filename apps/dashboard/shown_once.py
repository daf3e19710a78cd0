"""Secrets that the next page shows once, as a new token: until then encrypted in the session."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest

from apps.users.rules.encryption import DecryptionFailed, text_decrypt, text_encrypt


def secret_keep(request: HttpRequest, name: str, **values: Any) -> None:
    """Keep what the page called `name` will show, in place of what it has not shown yet."""
    request.session[name] = text_encrypt(json.dumps(values))


def secret_take(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return what was kept for a page, and keep it no longer; empty if there is nothing."""
    try:
        found: dict[str, Any] = json.loads(text_decrypt(request.session.pop(name, "")))
    except DecryptionFailed:
        return {}
    return found
