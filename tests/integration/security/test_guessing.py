"""Guessing passwords and codes: at once, at every door, and without shutting others out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from apps.core import clock
from apps.users.errors import LoginThrottled, PasskeyRefused, WrongCode
from apps.users.models import LoginAttempt, TotpDevice, User
from apps.users.rules.encryption import text_encrypt
from apps.users.services.login_throttle import FREE_TRIES
from apps.users.services.logins import passkey_login, person_login, second_step_verify
from apps.users.services.passkeys import RelyingParty
from tests import people
from tests.page_client import signed_in

NOW = clock.now()
PLACE = RelyingParty(host="localhost", origin="http://localhost")


def in_threads(work: Any, count: int) -> list[type[BaseException] | None]:
    """Do something in so many threads at the same time; returns how each ended."""

    def one(_number: int) -> type[BaseException] | None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  # which one it was is what the test looks at
            return type(error)
        finally:
            connection.close()
        return None

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def device_add(person: User) -> None:
    secret = text_encrypt("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    TotpDevice.objects.create(user=person, sealed_secret=secret, confirmed_at=NOW - timedelta(days=1))


@pytest.mark.django_db(transaction=True)
def test_concurrent_one_time_codes_are_checked_one_after_the_other():
    """Each burst of a thousand sockets would else be a thousand guesses at a code of six digits."""
    person = people.person("ann")
    device_add(person)

    ends = in_threads(lambda: second_step_verify(person, code="000000", source="10.0.0.1", now=NOW), 24)

    assert ends.count(WrongCode) == FREE_TRIES["both"] + 1
    assert ends.count(LoginThrottled) == 24 - FREE_TRIES["both"] - 1


@pytest.mark.django_db
def test_passkeys_without_a_name_slow_their_own_place_only():
    """Twenty wrong ones from anywhere would else keep everybody with a passkey out."""

    def tried(source: str) -> None:
        passkey_login(answer="{}", challenge="YQ", place=PLACE, source=source, now=NOW)

    for number in range(FREE_TRIES["username"] + 5):
        with pytest.raises(PasskeyRefused):
            tried(f"10.0.2.{number % 10}")
    with pytest.raises(PasskeyRefused):
        tried("10.0.3.1")
    for _ in range(FREE_TRIES["both"]):
        with pytest.raises(PasskeyRefused):
            tried("10.0.3.1")
    with pytest.raises(LoginThrottled):
        tried("10.0.3.1")


@pytest.mark.django_db
def test_a_right_password_before_a_second_step_leaves_the_count_as_it_was():
    device_add(people.person("ann"))
    asked: dict[str, Any] = {"username": "ann", "source": "10.0.0.1", "now": NOW}

    for _ in range(FREE_TRIES["both"] + 3):
        person_login(password=people.PASSWORD, **asked)

    assert not LoginAttempt.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "field", "more"),
    [
        ("/account/confirm/", "password", {}),
        ("/password/", "old_password", {"new_password1": "x y z 1 2 3 4", "new_password2": "x y z 1 2 3 4"}),
    ],
)
def test_the_password_is_not_guessed_in_an_open_browser_either(path, field, more):
    people.person("ann")
    client = signed_in()

    for _ in range(FREE_TRIES["both"] + 1):
        assert client.post(path, {field: "guess", **more}).status_code == 422
    answer = client.post(path, {field: people.PASSWORD, **more})

    assert answer.status_code == 422
    assert "wait" in answer.content.decode()
    assert User.objects.get(username="ann").check_password(people.PASSWORD)
