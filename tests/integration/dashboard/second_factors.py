"""Somebody who is signed in, with an authenticator app or a passkey, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pyotp
from django.test import Client

from apps.core import clock
from apps.users.models import TotpDevice, User
from apps.users.rules.encryption import text_decrypt
from apps.users.services.second_factor import totp_begin, totp_confirm
from tests.authenticator import Authenticator
from tests.people import PASSWORD

NOW = clock.now()


def signed_in(name: str = "ann", *, agent: str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0") -> Client:
    """Somebody who came in by password a moment ago."""
    client = Client(headers={"User-Agent": agent})
    answer = client.post("/login/", {"username": name, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def secret_of(user: User) -> pyotp.TOTP:
    return pyotp.TOTP(text_decrypt(TotpDevice.objects.get(user=user).sealed_secret))


def app_of(user: User) -> pyotp.TOTP:
    """An app whose next codes are unused."""
    totp_begin(user)
    totp_confirm(user, code=secret_of(user).at(NOW.timestamp() - 30), now=NOW)
    return secret_of(user)


def passkey_added(client: Client, held: Authenticator) -> Any:
    options = client.post("/account/passkeys/options/", headers={"Accept": "application/json"})
    answer = held.register(json.loads(options.content)["challenge"])
    return client.post("/account/passkeys/", {"answer": answer, "name": "laptop"})
