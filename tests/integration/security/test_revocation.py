"""What a revoked token still gets: nothing, neither a new answer nor an old one."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.api.models import IdempotentAnswer
from apps.users.models import Token
from apps.users.services import token_revoke
from tests import people

pytestmark = pytest.mark.django_db


def token_ask(text: str) -> Any:
    headers = {**people.bearer(text), "Idempotency-Key": "once"}
    body = {"name": "more", "perm": "read"}
    return Client().post("/api/v1/tokens", body, content_type="application/json", headers=headers)


def test_a_kept_answer_is_not_repeated_for_a_revoked_token():
    text = people.token("admin")
    assert token_ask(text).status_code == 201
    token_revoke(Token.objects.get(name="alice-admin"))

    again = token_ask(text)

    assert again.status_code == 401
    assert "token" not in again.json()


def test_a_kept_answer_is_repeated_while_the_token_is_good_but_not_readable_in_the_database():
    text = people.token("admin")
    made = token_ask(text).json()["token"]

    assert token_ask(text).json()["token"] == made
    assert made not in IdempotentAnswer.objects.get().body
    assert Token.objects.filter(name="more").count() == 1
