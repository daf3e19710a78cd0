"""Which SECRET_KEY the database's secrets are encrypted with: a start with another one is refused.

Two consoles with different keys on one database could neither read each other's secrets (authenticator apps,
URLs of alert channels) nor know each other's sessions.
"""

from __future__ import annotations

from typing import Final

from cryptography.fernet import InvalidToken
from django.conf import settings

from apps.users.models import SiteKey
from apps.users.rules.encryption import DecryptionFailed, fernet_from, text_decrypt, text_encrypt

WORD: Final = "poolsite"
"""The plain text of `check_text`."""


class OtherKey(ValueError):
    """The database's secrets are encrypted with another key than this console has."""


def site_key_require() -> None:
    """Refuse another key than the database's; an earlier one that SECRET_KEY_FALLBACKS names is replaced.

    Raises OtherKey.
    """
    row = SiteKey.objects.filter(pk=1).first()
    if row is None:
        site_key_replace()
        return
    try:
        text_decrypt(row.check_text)
    except DecryptionFailed:
        raise OtherKey from None
    try:
        fernet_from(settings.SECRET_KEY).decrypt(row.check_text.encode())
    except InvalidToken:
        site_key_replace()


def site_key_replace() -> None:
    """Note that secrets are encrypted with this console's key from now on."""
    SiteKey.objects.update_or_create(pk=1, defaults={"check_text": text_encrypt(WORD)})
