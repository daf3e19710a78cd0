"""Secrets that must be read again, encrypted with the site's SECRET_KEY before they reach the database.

After a change of the key, old texts can be read as long as the old key stands in SECRET_KEY_FALLBACKS.
"""

from __future__ import annotations

import base64
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_bytes

from apps.core.marked_texts import gettext

PURPOSE: Final = b"poolsite sealed text"
"""Keeps this key apart from others of the same SECRET_KEY; stored texts depend on it, so it never changes."""


class DecryptionFailed(ValueError):
    """The text was encrypted with another key, or changed."""


def fernet_from(secret: str | bytes) -> Fernet:
    """Return the cipher of one SECRET_KEY."""
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(force_bytes(secret))
    return Fernet(base64.urlsafe_b64encode(key))


def text_encrypt(text: str) -> str:
    """Encrypt a text."""
    return fernet_from(settings.SECRET_KEY).encrypt(text.encode()).decode()


def text_decrypt(encrypted: str) -> str:
    """Decrypt a text.  Raises DecryptionFailed."""
    keys = [fernet_from(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    try:
        return MultiFernet(keys).decrypt(encrypted.encode()).decode()
    except InvalidToken:
        raise DecryptionFailed(gettext("encrypted with another key")) from None
