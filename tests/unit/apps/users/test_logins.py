from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.users.errors import LoginFailed, LoginThrottled, WrongCode
from apps.users.models import AuditEntry, LoginAttempt, User
from apps.users.selectors.guessed_factors import factors_guessed
from apps.users.services.login_throttle import (
    FREE_TRIES,
    LAST_WAIT_S,
    NAME_WAIT_S,
    SECOND_FREE_TRIES,
)
from apps.users.services.logins import person_login, second_step_verify
from apps.users.services.tenants import tenant_update
from tests import people

pytestmark = pytest.mark.django_db

NOW = clock.now()


@pytest.fixture(autouse=True)
def ann() -> None:
    people.person("ann")


def login(password: str = people.PASSWORD, **overrides: Any) -> str:
    asked: dict[str, Any] = {"username": "ann", "source": "10.0.0.1", "now": NOW, **overrides}
    return person_login(password=password, **asked).get_username()


def fail(count: int, **overrides: Any) -> None:
    for _ in range(count):
        with pytest.raises(LoginFailed):
            login("wrong", **overrides)


def test_a_right_password_is_let_in_and_written_down():
    assert login() == "ann"
    assert AuditEntry.objects.get().action == "login"
    assert LoginAttempt.objects.get().is_good


@pytest.mark.parametrize("name", ["ann", "nobody", "a\0nn", "x" * 500])
def test_a_wrong_password_and_a_wrong_name_say_the_same(name):
    with pytest.raises(LoginFailed, match="do not match"):
        login("wrong", username=name)


def test_a_few_failures_cost_nothing():
    fail(FREE_TRIES["both"])

    assert login() == "ann"


def test_more_failures_make_even_the_right_password_wait():
    fail(FREE_TRIES["both"] + 1)

    with pytest.raises(LoginThrottled, match=r"wait [12] seconds"):
        login()
    assert login(now=NOW + timedelta(seconds=2)) == "ann"


def test_the_wait_doubles_up_to_an_end():
    moment, waits = NOW, []
    fail(FREE_TRIES["both"] + 1)
    for _ in range(14):
        with pytest.raises(LoginThrottled) as refusal:
            login(now=moment)
        waits.append(refusal.value.wait_s)
        moment += timedelta(seconds=refusal.value.wait_s)
        with pytest.raises(LoginFailed):
            login("wrong", now=moment)

    assert waits[:4] == [2, 3, 5, 9]
    assert waits[-1] == LAST_WAIT_S + 1


def test_failures_by_a_clock_that_was_ahead_keep_nobody_out():
    fail(FREE_TRIES["both"] + 1, now=NOW + timedelta(days=365))

    assert login(now=NOW) == "ann"


def test_failures_by_another_process_whose_clock_is_ahead_a_little_count():
    fail(FREE_TRIES["both"] + 1, now=NOW + timedelta(seconds=5))

    with pytest.raises(LoginThrottled):
        login(now=NOW)


def test_a_good_login_forgives():
    fail(FREE_TRIES["both"])
    login()

    fail(FREE_TRIES["both"])
    assert login() == "ann"


def test_another_place_is_not_slowed_by_a_few_failures():
    fail(FREE_TRIES["both"] + 1)

    assert login(source="10.0.0.2") == "ann"


def test_a_name_tried_from_everywhere_is_slowed():
    for number in range(FREE_TRIES["username"] + 1):
        fail(1, source=f"10.0.1.{number}")

    with pytest.raises(LoginThrottled):
        login()


def test_strangers_elsewhere_do_not_slow_a_place_the_person_came_from():
    login(now=NOW - timedelta(days=2))
    for number in range(FREE_TRIES["username"] + 9):
        LoginAttempt.objects.create(at=NOW, username="ann", source=f"10.0.1.{number}", is_good=False)

    assert login() == "ann"


def test_strangers_slow_a_name_for_half_a_minute_at_most():
    for number in range(FREE_TRIES["username"] + 19):
        LoginAttempt.objects.create(at=NOW, username="ann", source=f"10.0.1.{number}", is_good=False)

    with pytest.raises(LoginThrottled) as caught:
        login()
    assert caught.value.wait_s <= NAME_WAIT_S + 1
    assert login(now=NOW + timedelta(seconds=NAME_WAIT_S + 1)) == "ann"


def test_a_place_that_tries_many_names_is_slowed():
    for number in range(FREE_TRIES["source"] + 1):
        fail(1, username=f"guess{number}")

    with pytest.raises(LoginThrottled):
        login()


def test_a_closed_account_is_not_let_in():
    tenant_update(tenant=people.tenant("alice"), enabled=False)

    with pytest.raises(LoginFailed):
        login()


def test_strangers_at_an_address_do_not_keep_out_who_came_in_there():
    login(source="10.0.0.7")
    for number in range(FREE_TRIES["source"] + 5):
        LoginAttempt.objects.create(username=f"x{number}", source="10.0.0.7", at=NOW, is_good=False)

    with pytest.raises(LoginThrottled):
        login("wrong", username="bob", source="10.0.0.7")
    assert login(source="10.0.0.7") == "ann"


def guess(moment: Any, *, source: str = "10.6.6.6") -> bool:
    """Guess ann's code; gives whether the guess was looked at."""
    try:
        second_step_verify(User.objects.get(username="ann"), code="000000", source=source, now=moment)
    except LoginThrottled:
        return False
    except WrongCode:
        return True
    raise AssertionError("the guess was right")


def test_who_has_the_password_guesses_a_dozen_codes_an_hour_wherever_from():
    tried = sum(guess(NOW + timedelta(seconds=2 * n), source=f"10.6.6.{n % 9}") for n in range(1800))

    assert SECOND_FREE_TRIES < tried <= 12
    [found] = factors_guessed(people.principal("pool", is_operator=True), now=NOW + timedelta(hours=1))
    assert (found.username, found.count) == ("ann", tried)


def test_wrong_codes_of_strangers_do_not_slow_who_came_in_there():
    login(source="10.0.0.7", now=NOW - timedelta(days=2))
    for n in range(SECOND_FREE_TRIES + 5):
        guess(NOW + timedelta(seconds=n))

    assert not guess(NOW + timedelta(seconds=20))
    assert guess(NOW + timedelta(seconds=20), source="10.0.0.7")
