"""`POST /verify` before Django: the same answers, and nothing that was revoked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.db import DatabaseError

from apps.api.auth import verified_answers
from apps.api.auth.verified_answers import answers_of_loop
from apps.api.auth.verify import VerifyPost
from apps.core import clock
from apps.users.models import Token
from apps.users.services.tenants import tenant_update
from apps.users.services.tokens import token_revoke
from poolsite.asgi import job_wait
from tests import people

SITE: Any = job_wait
"""What stands behind the fast path; in the whole site a second one would wait for the first."""
BAD_BODIES = (b"", b"{}", b"[", b'{"Token": 7}', b'{"Token": "x"}', b"\xff" * 100, b"x" * 40_000)
pytestmark = pytest.mark.usefixtures("transactional_db", "pool_redis")


def in_thread(call: Any) -> Any:
    return database_sync_to_async(call, thread_sensitive=False)


Answer = tuple[int, Any, dict[str, str]]


class Counted:
    """The site, counting what reaches it behind the fast path."""

    def __init__(self) -> None:
        self.calls = 0
        self.app = VerifyPost(self.inner)

    async def inner(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.calls += 1
        await SITE(scope, receive, send)


async def ask(
    site: Counted, caller: str, body: bytes, kind: str = "application/json"
) -> tuple[int, Any, dict[str, str]]:
    headers = [(b"authorization", f"Bearer {caller}".encode()), (b"content-type", kind.encode())]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/verify",
        "raw_path": b"/verify",
        "query_string": b"",
        "headers": [*headers, (b"host", b"localhost"), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "scheme": "http",
    }
    talk = ApplicationCommunicator(site.app, scope)
    half = len(body) // 2
    await talk.send_input({"type": "http.request", "body": body[:half], "more_body": True})
    await talk.send_input({"type": "http.request", "body": body[half:], "more_body": False})
    start = await talk.receive_output(20)
    answer = await talk.receive_output(20)
    await talk.wait(60)
    names = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], json.loads(answer["body"]), names


def question(text: str) -> bytes:
    return json.dumps({"Token": text}).encode()


@pytest.fixture
async def site() -> AsyncIterator[Counted]:
    yield Counted()
    task = answers_of_loop().confirming
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def tokens() -> dict[str, str]:
    return {"asking": people.token("read", of="alice"), "asked": people.token("write", of="bob")}


async def warm(site: Counted, tokens: dict[str, str]) -> None:
    """Ask until the answer comes without Django."""
    for _ in range(1200):
        calls = site.calls
        status, body, _ = await ask(site, tokens["asking"], question(tokens["asked"]))
        assert (status, body) == (200, {"name": "bob", "perm": "write", "ext": ""})
        if site.calls == calls:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("every question went to Django")


async def refused(site: Counted, tokens: dict[str, str]) -> Any:
    """Ask until the answer is a refusal; at most for a second."""
    until = asyncio.get_running_loop().time() + 1.0
    while True:
        status, body, _ = await ask(site, tokens["asking"], question(tokens["asked"]))
        if status != 200:
            return status, body
        assert asyncio.get_running_loop().time() < until, "still good after a second"


async def test_a_known_answer_is_the_same_as_djangos_with_a_number_of_its_own(site, tokens):
    first = await ask(site, tokens["asking"], question(tokens["asked"]))
    await warm(site, tokens)
    again = await ask(site, tokens["asking"], question(tokens["asked"]))

    assert first[:2] == again[:2]
    assert first[2].pop("x-request-id") != again[2].pop("x-request-id")
    assert first[2] == again[2]


@pytest.mark.parametrize("which", ["asking", "asked"])
async def test_a_revoked_token_is_refused_at_once(site, tokens, which):
    await warm(site, tokens)
    row = await in_thread(Token.objects.get)(tenant__name={"asking": "alice", "asked": "bob"}[which])

    await in_thread(token_revoke)(row)

    assert await refused(site, tokens)


async def test_a_disabled_tenants_token_is_refused_at_once(site, tokens):
    await warm(site, tokens)
    bob = await in_thread(people.tenant)("bob")

    await in_thread(tenant_update)(tenant=bob, enabled=False)

    assert await refused(site, tokens) == (401, {"error": "A non-registered token"})


async def test_an_expired_token_is_refused_without_anybody_telling(site, tokens):
    await warm(site, tokens)

    await in_thread(Token.objects.filter(tenant__name="bob").update)(
        expires_at=clock.now() - timedelta(hours=1)
    )

    assert await refused(site, tokens) == (401, {"error": "A non-registered token"})


async def test_while_the_database_is_away_known_answers_end_within_a_second(site, tokens, monkeypatch):
    await warm(site, tokens)

    def away(*_words: Any, **_more: Any) -> set[str]:
        raise DatabaseError("away")

    monkeypatch.setattr(verified_answers, "tokens_refused", away)
    await asyncio.sleep(verified_answers.GOOD_S + verified_answers.CONFIRM_S)
    calls = site.calls
    await ask(site, tokens["asking"], question(tokens["asked"]))

    assert site.calls == calls + 1


async def test_another_caller_gets_no_known_answer(site, tokens):
    await warm(site, tokens)

    status, body, _ = await ask(site, "no token", question(tokens["asked"]))

    assert status == 401
    assert "not registered" in body["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[", b'{"Token": 7}', b'{"Token": "x"}', b"\xff" * 100, b"x" * 40_000]
)
async def test_what_is_refused_is_never_kept(site, tokens, body):
    answers = [await ask(site, tokens["asking"], body) for _ in range(2)]

    assert site.calls == 2
    assert answers[0][:2] == answers[1][:2]
    assert answers[0][0] != 200


async def test_a_form_goes_to_django(site, tokens):
    form = f"token={tokens['asked']}".encode()

    for _ in range(2):
        assert (await ask(site, tokens["asking"], form, "application/x-www-form-urlencoded"))[0] == 200

    assert site.calls == 2


async def test_no_more_than_so_many_answers_are_kept(site, tokens, monkeypatch):
    monkeypatch.setattr(verified_answers, "MOST", 3)
    for number in range(8):
        await ask(site, tokens["asking"], json.dumps({"token": tokens["asked"], "n": number}).encode())

    assert 0 < len(answers_of_loop().cached) <= 3
