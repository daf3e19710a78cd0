"""Logging in, slower after each failure: per name and place, per name, and per place.

An attempt that comes too early is refused without looking at password or code, so guessing gains nothing.
Each try is recorded as a failure before it is checked: a hundred at one moment are a hundred failures.
A right password does not forgive the failures of a person who has a second factor; only the second step does.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest

from apps.users.errors import LoginFailed, TokenRefused
from apps.users.models import LoginAttempt, User
from apps.users.selectors.principals import principal_of
from apps.users.services.audit import audit_record
from apps.users.services.login_throttle import login_attempt_begin
from apps.users.services.passkeys import RelyingParty, passkey_accept
from apps.users.services.second_factor import code_accept, has_second_factor
from apps.users.states import Factor


def person_login(
    *, username: str, password: str, source: str, now: datetime, request: HttpRequest | None = None
) -> User:
    """Check name and password; somebody with a second factor is not in yet.

    Raises LoginThrottled without looking at the password, LoginFailed.
    """
    username = username[:150].replace("\0", "")
    attempt = login_attempt_begin(username=username, source=source, now=now)
    person = authenticate(request, username=username, password=password)
    if not isinstance(person, User) or not is_open(person):
        raise LoginFailed
    if has_second_factor(person):
        attempt.delete()
    else:
        login_record(person, attempt=attempt, factor=Factor.PASSWORD)
    return person


def second_step_verify(person: User, *, code: str, source: str, now: datetime) -> str:
    """Verify the code that follows a right password; returns which factor it was.

    Raises LoginThrottled without checking the code, WrongCode.
    """
    attempt = login_attempt_begin(username=person.get_username(), source=source, now=now, is_second=True)
    with transaction.atomic():  # a code is used up by the login that it let in, and by no other
        factor = code_accept(person, code=code.replace("\0", ""), now=now)
        login_record(person, attempt=attempt, factor=factor)
    return factor


def passkey_login(
    *,
    answer: str,
    challenge: str,
    place: RelyingParty,
    source: str,
    now: datetime,
    person: User | None = None,
    asked_at: datetime | None = None,
) -> User:
    """Verify a passkey's answer: as the second step of `person`, or in place of name and password.

    With `asked_at`, when a stranger was asked, the answer counts only if the passkey was not used since.

    Raises LoginThrottled without looking at the answer, PasskeyRefused, LoginFailed for a closed account.
    """
    username = person.get_username() if person is not None else ""
    attempt = login_attempt_begin(username=username, source=source, now=now)
    with transaction.atomic():
        key = passkey_accept(
            answer=answer, challenge=challenge, place=place, now=now, user=person, asked_at=asked_at
        )
        is_let_in = key.user.is_active and is_open(key.user)
        if is_let_in:
            login_record(key.user, attempt=attempt, factor=Factor.PASSKEY)
    if not is_let_in:
        raise LoginFailed
    return key.user


@transaction.atomic
def login_record(person: User, *, attempt: LoginAttempt, factor: str) -> None:
    """Write down that a person came in."""
    attempt.username, attempt.is_good = person.get_username(), True
    attempt.save(update_fields=["username", "is_good"])
    audit_record(
        principal=principal_of(person, source=attempt.source),
        action="login",
        target=attempt.username,
        after={"factor": factor},
    )


def is_open(person: User) -> bool:
    """Return whether the person's account is let in."""
    try:
        principal_of(person)
    except TokenRefused:
        return False
    return True
