"""What a revoked token still gets: nothing, neither a new answer nor an old one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.users.models import IdempotentAnswer, Token
from apps.users.selectors.tokens import token_digest
from apps.users.services.tokens import TokenLimits, token_revoke
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


def test_idempotent_replay_is_encrypted_at_rest():
    text = people.token("admin")
    made = token_ask(text).json()["token"]

    assert token_ask(text).json()["token"] == made
    assert made not in IdempotentAnswer.objects.get().body
    assert Token.objects.filter(name="more").count() == 1


def auth(method: str, path: str, text: str, *, of: str) -> Any:
    body = json.dumps({"token": text})
    return Client().generic(method, path, body, content_type="application/json", headers=people.bearer(of))


@pytest.mark.parametrize(
    ("perm", "limits"), [("read", {}), ("write", {}), ("sign", {}), ("admin", {"methods": ["*"]})]
)
def test_no_token_but_an_admins_removes_its_siblings_or_brings_them_back(perm, limits):
    """Whoever stole two tokens would bring the first back with the second, each time that it was revoked."""
    stolen = people.token("read")
    other = people.token(perm, limits=TokenLimits(**limits))

    assert auth("DELETE", "/token", stolen, of=other).json()["error"].endswith("Permission Deny")
    token_revoke(Token.objects.get(digest=token_digest(stolen)))
    assert auth("POST", "/recoverToken", stolen, of=other).json()["error"].endswith("Permission Deny")
    assert Token.objects.get(digest=token_digest(stolen)).revoked_at is not None


def test_a_token_gives_itself_up_and_an_admin_removes_any_of_its_tenant():
    mine, other, admin = people.token("read"), people.token("write"), people.token("admin")

    assert auth("DELETE", "/token", mine, of=mine).status_code == 200
    assert auth("DELETE", "/token", mine, of=mine).status_code == 401
    assert auth("DELETE", "/token", other, of=admin).status_code == 200
    assert auth("POST", "/recoverToken", other, of=admin).status_code == 200
