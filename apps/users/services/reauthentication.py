"""Reauthentication: sensitive actions are allowed only soon after a proof of identity.

Whoever sits down at an open browser, or has copied its cookie, makes no token, invites nobody and takes
nobody's access away.  A password, a code of one's app or a passkey that verifies its owner will do.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import datetime
from typing import Any, Final

from apps.users.models import User
from apps.users.services.login_throttle import login_attempt_begin
from apps.users.services.passkeys import RelyingParty, passkey_accept
from apps.users.services.second_factor import app_code_accept

CONFIRMED: Final = "confirmed_at"
"""Where a session keeps when the person last proved who they are."""
CONFIRMED_FOR_S: Final = 15 * 60
"""How long a proof is good: setting up a few things in a row asks once."""


def reauthentication_note(session: MutableMapping[str, Any], *, now: datetime) -> None:
    """Note in a session that the person just proved who they are."""
    session[CONFIRMED] = int(now.timestamp())


def is_reauthenticated(session: MutableMapping[str, Any], *, now: datetime) -> bool:
    """Return whether that was lately."""
    since_s = now.timestamp() - float(session.get(CONFIRMED, 0))
    return 0 <= since_s < CONFIRMED_FOR_S


def password_reauthenticate(person: User, *, password: str, source: str, now: datetime) -> bool:
    """Check the password of somebody who is in.  Raises LoginThrottled without checking it."""
    attempt = login_attempt_begin(username=person.get_username(), source=source, now=now)
    is_right = person.check_password(password)
    if is_right:
        attempt.delete()
    return is_right


def code_reauthenticate(person: User, *, code: str, source: str, now: datetime) -> bool:
    """Check a code of their app; recovery codes only let in.  Raises LoginThrottled without looking."""
    attempt = login_attempt_begin(username=person.get_username(), source=source, now=now, is_second=True)
    is_right = app_code_accept(person, code=code, now=now)
    if is_right:
        attempt.delete()
    return is_right


def passkey_reauthenticate(
    person: User, *, answer: str, challenge: str, place: RelyingParty, source: str, now: datetime
) -> None:
    """Verify the answer of one of their passkeys, which must have verified its owner.

    Raises LoginThrottled without checking it, PasskeyRefused.
    """
    attempt = login_attempt_begin(username=person.get_username(), source=source, now=now)
    passkey_accept(answer=answer, challenge=challenge, place=place, now=now, user=person, must_verify=True)
    attempt.delete()
