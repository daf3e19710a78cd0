"""Sessions and kept answers are deleted once they are over, a bounded number at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from apps.core.clock import now
from apps.users import tasks
from apps.users.models import IdempotentAnswer, PersonSession
from apps.users.services.idempotency import LIFETIME
from apps.users.tasks import users_expire
from tests import people
from tests.page_client import signed_in

pytestmark = pytest.mark.django_db


def age(**by: float) -> None:
    IdempotentAnswer.objects.update(created_at=now() - LIFETIME - timedelta(**by))


def test_sessions_that_are_over_are_deleted_with_what_is_shown_of_them():
    people.person("ann")
    people.person("ben")
    signed_in("ann").get("/account/")
    Session.objects.update(expire_date=now() - timedelta(seconds=1))
    client = signed_in("ben")
    assert client.get("/account/").status_code == 200

    users_expire()

    assert Session.objects.count() == PersonSession.objects.count() == 1
    assert client.get("/account/").status_code == 200


def test_one_run_deletes_a_bounded_number_the_oldest_first(monkeypatch):
    monkeypatch.setattr(tasks, "ROWS_MAX", 2)
    for number in range(3):
        Session.objects.create(
            session_key=f"k{number}", session_data="", expire_date=now() - timedelta(days=3 - number)
        )
        IdempotentAnswer.objects.create(caller="c", key=f"k{number}", request="r", status=200)
    age(seconds=1)

    users_expire()

    assert Session.objects.get().session_key == "k2"
    assert IdempotentAnswer.objects.count() == 1


def test_a_key_is_a_new_request_after_its_answers_lifetime():
    headers = {**people.bearer(people.token("sign")), "Idempotency-Key": "guard-1"}

    def ask() -> str:
        answer = Client().post(
            "/api/v1/gas/guards", {"max_fee": "7"}, content_type="application/json", headers=headers
        )
        assert answer.status_code == 201, answer.content
        return str(answer.json()["uuid"])

    first = ask()
    age(seconds=-60)
    users_expire()
    assert ask() == first

    age(seconds=1)
    users_expire()
    assert ask() != first


def test_a_key_that_was_reserved_and_not_answered_is_kept_for_its_lifetime():
    IdempotentAnswer.objects.create(caller="c", key="k", request="r")
    age(seconds=-60)

    users_expire()

    assert IdempotentAnswer.objects.exists()
