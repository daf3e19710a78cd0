"""A proof of identity opens sensitive actions for a quarter of an hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.users.models import LoginAttempt
from apps.users.services import reauthentication
from apps.users.services.reauthentication import (
    CONFIRMED_FOR_S,
    code_reauthenticate,
    is_reauthenticated,
    password_reauthenticate,
    reauthentication_note,
)
from tests.people import PASSWORD, person

pytestmark = pytest.mark.django_db


def test_proof_of_identity_is_good_for_a_while() -> None:
    session: dict[str, Any] = {}
    now = clock.now()
    assert not is_reauthenticated(session, now=now)

    reauthentication_note(session, now=now)

    assert is_reauthenticated(session, now=now + timedelta(seconds=CONFIRMED_FOR_S - 2))
    assert not is_reauthenticated(session, now=now + timedelta(seconds=CONFIRMED_FOR_S + 1))
    assert not is_reauthenticated(session, now=now - timedelta(hours=1)), (
        "a clock that went back proves nothing"
    )


def test_wrong_password_counts_as_an_attempt_and_the_right_one_does_not() -> None:
    ann, now = person(), clock.now()

    assert not password_reauthenticate(ann, password="wrong", source="10.0.0.7", now=now)
    assert LoginAttempt.objects.count() == 1
    assert password_reauthenticate(ann, password=PASSWORD, source="10.0.0.7", now=now)
    assert LoginAttempt.objects.count() == 1


@pytest.mark.parametrize(("is_right", "attempts"), [(True, 0), (False, 1)])
def test_code_of_the_app_counts_the_same(
    is_right: bool, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reauthentication, "app_code_accept", lambda _person, **_data: is_right)

    assert code_reauthenticate(person(), code="123456", source="10.0.0.7", now=clock.now()) is is_right
    assert LoginAttempt.objects.count() == attempts
