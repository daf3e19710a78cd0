from __future__ import annotations

import json
from typing import Any

import pytest

from apps.core import clock
from apps.users.errors import LoginFailed, LoginThrottled, PasskeyRefused
from apps.users.models import AuditEntry, Passkey, User
from apps.users.rules.principals import SYSTEM
from apps.users.services import logins
from apps.users.services.logins import passkey_login
from apps.users.services.passkeys import (
    RelyingParty,
    assertion_options_generate,
    passkey_accept,
    passkey_add,
    passkey_remove,
    registration_options_generate,
)
from apps.users.services.people import person_set_active
from tests import people
from tests.authenticator import Authenticator, base64url
from tests.killed_writes import Killed, kill

pytestmark = pytest.mark.django_db

NOW = clock.now()
HERE = RelyingParty(host="pool.example", origin="https://pool.example")


@pytest.fixture
def ann() -> User:
    return people.person("ann")


def device() -> Authenticator:
    return Authenticator(host=HERE.host, origin=HERE.origin)


def added(user: User, held: Authenticator) -> Passkey:
    question = registration_options_generate(user, place=HERE)
    answer = held.register(question.challenge)
    return passkey_add(user, answer=answer, challenge=question.challenge, place=HERE, name="laptop")


def accept(held: Authenticator, user: User | None = None, **overrides: str) -> Passkey:
    challenge = assertion_options_generate(user, place=HERE).challenge
    asked: dict[str, Any] = {"answer": held.sign(challenge), "challenge": challenge, **overrides}
    return passkey_accept(**asked, place=HERE, now=NOW, user=user)


def test_a_passkey_names_its_owner_by_itself(ann):
    held = device()
    row = added(ann, held)

    assert accept(held) == row
    row.refresh_from_db()
    assert row.user == ann
    assert row.sign_count == held.count
    assert row.last_used_at == NOW


def test_the_question_names_the_keys_that_the_person_has(ann):
    held = device()
    added(ann, held)

    known = json.loads(registration_options_generate(ann, place=HERE).options)["excludeCredentials"]
    asked = json.loads(assertion_options_generate(ann, place=HERE).options)

    assert [key["id"] for key in known] == [base64url(held.id)]
    assert [key["id"] for key in asked["allowCredentials"]] == [base64url(held.id)]
    assert json.loads(assertion_options_generate(None, place=HERE).options)["userVerification"] == "required"


def test_an_answer_to_another_question_is_refused(ann):
    held = device()
    added(ann, held)
    old = assertion_options_generate(None, place=HERE).challenge

    with pytest.raises(PasskeyRefused):
        accept(held, challenge=assertion_options_generate(None, place=HERE).challenge, answer=held.sign(old))


def test_an_answer_from_another_page_is_refused(ann):
    held = device()
    added(ann, held)
    held.origin = "https://pool.example.evil"

    with pytest.raises(PasskeyRefused):
        accept(held)


def test_a_copy_whose_counter_stands_behind_is_refused(ann):
    held = device()
    added(ann, held)
    accept(held)
    held.count = 0

    with pytest.raises(PasskeyRefused):
        accept(held)


def test_a_device_that_verifies_nobody_is_a_second_step_but_no_login(ann):
    held = device()
    added(ann, held)
    held.verifies = False

    assert accept(held, ann).user == ann
    with pytest.raises(PasskeyRefused):
        accept(held)


def test_anothers_passkey_is_no_second_step(ann):
    held = device()
    added(people.person("bill", of="bob"), held)

    with pytest.raises(PasskeyRefused):
        accept(held, ann)


def test_a_passkey_is_registered_once_and_can_be_taken_away(ann):
    held = device()
    row = added(ann, held)

    with pytest.raises(PasskeyRefused, match="already"):
        added(people.person("bill", of="bob"), held)
    assert passkey_remove(people.person("carl"), pk=row.pk) == ""
    assert passkey_remove(ann, pk=row.pk) == "laptop"
    with pytest.raises(PasskeyRefused, match="not registered"):
        accept(held)


@pytest.mark.parametrize(
    "answer", ["", "[]", "null", "{}", '{"id": 1}', '{"id": "\\u0000"}', "[" * 5000, "x" * 70_000]
)
def test_nonsense_is_refused_in_both_places(ann, answer):
    question = registration_options_generate(ann, place=HERE)
    with pytest.raises(PasskeyRefused):
        passkey_add(ann, answer=answer, challenge=question.challenge, place=HERE, name="x")
    with pytest.raises(PasskeyRefused):
        accept(device(), answer=answer)


@pytest.mark.parametrize("field", ["attestationObject", "clientDataJSON"])
@pytest.mark.parametrize("value", ["", "AA", "_____", "gA", 7, None, {"a": 1}])
def test_damaged_registrations_are_refused(ann, field, value):
    question = registration_options_generate(ann, place=HERE)
    answer = json.loads(device().register(question.challenge))
    answer["response"][field] = value

    with pytest.raises(PasskeyRefused):
        passkey_add(ann, answer=json.dumps(answer), challenge=question.challenge, place=HERE, name="x")


def test_without_a_question_no_answer_is_right(ann):
    held = device()
    added(ann, held)

    with pytest.raises(PasskeyRefused):
        accept(held, challenge="", answer=held.sign(""))


def login(held: Authenticator, answer: str | None = None) -> User:
    challenge = assertion_options_generate(None, place=HERE).challenge
    return passkey_login(
        answer=held.sign(challenge) if answer is None else answer,
        challenge=challenge,
        place=HERE,
        source="10.0.0.1",
        now=NOW,
    )


def test_a_login_by_passkey_is_written_down(ann):
    held = device()
    added(ann, held)

    assert login(held) == ann
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.after) == ("login", "ann", {"factor": "PASSKEY"})


def test_a_kill_uses_up_no_passkey_answer_without_its_login(ann, monkeypatch):
    held = device()
    added(ann, held)
    challenge = assertion_options_generate(None, place=HERE).challenge
    answer = held.sign(challenge)
    asked: dict[str, Any] = {
        "challenge": challenge,
        "place": HERE,
        "source": "10.0.0.1",
        "now": NOW,
        "asked_at": NOW,
    }
    with monkeypatch.context() as patch:
        patch.setattr(logins, "login_record", kill)
        with pytest.raises(Killed):
            passkey_login(answer=answer, **asked)

    assert passkey_login(answer=answer, **asked) == ann


def test_a_closed_account_has_no_use_of_its_passkey(ann):
    held = device()
    added(ann, held)
    person_set_active(principal=SYSTEM, person=ann, is_open=False)

    with pytest.raises(LoginFailed):
        login(held)


def test_guessing_passkeys_gets_slower(ann):
    held = device()
    added(ann, held)
    for _ in range(5):
        with pytest.raises(PasskeyRefused):
            login(held, answer="{}")

    with pytest.raises(LoginThrottled):
        login(held)
