"""Console machines: a join token is made by the operator alone, used once, and opens nothing else."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from apps.core import clock
from apps.core.models import Console, ProcessLease
from apps.users.models import AuditEntry, IdempotentAnswer, Token
from apps.users.services.tokens import TokenLimits
from poolsite.wire.hosts import VERSION
from tests import people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

FOLDER = "0123456789abcdef" * 2
DATABASE = "postgresql://pool:pass-of-db@db.example/pool"
EMBEDDED = {
    "DATABASE_URL": "postgresql:///poolsite?host=/run/poolsite-x/pg&user=poolsite",
    "REDIS_URL": "unix:///run/poolsite-x/redis.sock",
}
REDIS = "redis://:pass-of-redis@db.example:6379/0"


@pytest.fixture(autouse=True)
def own_servers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pool on servers of its own, as far as this process is told."""
    monkeypatch.setenv("DATABASE_URL", DATABASE)
    monkeypatch.setenv("REDIS_URL", REDIS)
    monkeypatch.setenv("POOLSITE_URL", "https://pool.example")
    monkeypatch.setenv("POOLSITE_SNARK", "vanilla")
    settings.MACHINE_NAME = "first"


def ask(client: Any, token: str) -> Any:
    return client.post(
        "/api/v1/consoles/join-tokens", {}, content_type="application/json", headers=people.bearer(token)
    )


def made(client: Any) -> str:
    admin = people.token("admin", of="pool", is_operator=True)
    answer = ask(client, admin)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["token"])


def join(client: Any, token: str, *, key: str = "", **changes: str) -> Any:
    body = {"folder": FOLDER, "machine": "second", "version": VERSION} | changes
    headers = people.bearer(token) | ({"Idempotency-Key": key} if key else {})
    return client.post("/api/v1/consoles:join", body, content_type="application/json", headers=headers)


def started() -> None:
    """Have the second machine start."""
    Console.objects.filter(machine="second").update(started_at=clock.now(), seen_at=clock.now())


def test_a_machine_fetches_what_consoles_share_and_nothing_of_one_machine(client: Any, settings: Any) -> None:
    answer = join(client, made(client))

    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body["secret_key"] == settings.SECRET_KEY
    assert body["settings"]["DATABASE_URL"] == DATABASE
    assert body["settings"]["REDIS_URL"] == REDIS
    assert body["settings"]["CHAIN_URLS"] == ",".join(settings.CHAIN_URLS)
    assert "POOLSITE_SNARK" not in body["settings"]
    assert answer["Cache-Control"] == "no-store"
    row = Console.objects.get(machine="second")
    assert (row.folder, row.started_at, row.seen_at) == (FOLDER, None, None)
    [line] = AuditEntry.objects.filter(action="console.join")
    assert line.target == "second"
    assert "pass-of-db" not in str(line.after)
    assert settings.SECRET_KEY not in str(line.after)


def test_a_token_serves_one_machine_until_that_has_started(client: Any) -> None:
    token = made(client)

    first = join(client, token)
    again = join(client, token)
    other = join(client, token, folder="f" * 32, machine="third")
    started()
    late = join(client, token)

    assert [first.status_code, again.status_code] == [201, 201]
    assert (other.status_code, other.json()["code"]) == (409, "console_token_used")
    assert (late.status_code, late.json()["code"]) == (409, "console_token_used")
    assert list(Console.objects.values_list("machine", flat=True)) == ["second"]


def test_behind_tls_a_machine_keeps_its_cookies_for_tls_too(client: Any, settings: Any) -> None:
    token = made(client)
    plain = join(client, token)

    settings.SESSION_COOKIE_SECURE = True

    assert "POOLSITE_TLS" not in plain.json()["settings"]
    assert join(client, token).json()["settings"]["POOLSITE_TLS"] == "1"


def test_no_answer_is_kept_to_be_repeated_after_the_start(client: Any) -> None:
    token = made(client)

    asked = [join(client, token, key="again"), join(client, token, key="again")]
    started()
    late = join(client, token, key="again")

    assert [one.status_code for one in asked] == [201, 201]
    assert (late.status_code, late.json()["code"]) == (409, "console_token_used")
    assert not IdempotentAnswer.objects.exists()


def test_a_machine_that_joins_again_may_ask_until_its_next_start(client: Any) -> None:
    join(client, made(client))
    started()
    token = made(client)

    asked = [join(client, token), join(client, token)]
    started()

    assert [one.status_code for one in asked] == [201, 201]
    assert join(client, token).json()["code"] == "console_token_used"


def test_a_machine_that_was_removed_fetches_nothing_more(client: Any) -> None:
    unused, token, admin = made(client), made(client), people.token("admin", of="pool", is_operator=True)
    join(client, token)
    gone = clock.now() - timedelta(minutes=2)
    Console.objects.filter(machine="second").update(started_at=gone, seen_at=gone)
    for name, is_given_up in (("web-1", False), ("follower", True)):
        ProcessLease.objects.create(
            session=name, machine="second", process=name, until=gone, is_given_up=is_given_up
        )

    removed = client.delete("/api/v1/consoles/second", headers=people.bearer(admin))

    assert removed.status_code == 204
    assert join(client, token).status_code == 401
    assert not Console.objects.exists()
    left = ProcessLease.objects.filter(machine="second")
    assert [lease.process for lease in left] == ["follower"], "it ends when it wakes"
    assert join(client, unused).status_code == 201


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"version": "poolsite/0.0.1"}, "other_version", "version"),
        ({"machine": "first"}, "machine_taken", "machine"),
        ({"machine": "other"}, "machine_taken", "machine"),
        ({"machine": "../second"}, "bad_value", "machine"),
        ({"folder": "x"}, "bad_value", "folder"),
    ],
)
def test_what_is_refused_leaves_the_token_good(
    client: Any, changes: dict[str, str], code: str, field: str
) -> None:
    Console.objects.create(machine="other", folder="e" * 32)
    token = made(client)

    refused = join(client, token, **changes)

    assert (refused.json()["code"], refused.json()["field"]) == (code, field)
    assert Console.objects.count() == 1
    assert join(client, token).status_code == 201


def test_a_machine_that_asks_under_another_name_leaves_no_row_behind(client: Any) -> None:
    token = made(client)

    join(client, token)
    join(client, token, machine="second-b")

    assert list(Console.objects.values_list("machine", flat=True)) == ["second-b"]


@pytest.mark.parametrize("setting", ["DATABASE_URL", "REDIS_URL"])
def test_a_pool_on_embedded_servers_makes_no_token(
    client: Any, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(setting, EMBEDDED[setting])
    admin = people.token("admin", of="pool", is_operator=True)

    refused = ask(client, admin)

    assert (refused.status_code, refused.json()["code"]) == (409, "servers_embedded")
    assert refused.json()["field"] == setting
    assert "make servers" in refused.json()["message"]
    assert not Token.objects.exclude(joins="").exists()


def test_only_the_operator_makes_tokens_and_no_other_token_joins(client: Any) -> None:
    tenants = people.token("admin", of="alice")
    limits = TokenLimits(methods=["rest.*"])
    limited = people.token("admin", of="pool", is_operator=True, limits=limits)
    expired = made(client)
    Token.objects.filter(joins="console").update(expires_at=clock.now() - timedelta(seconds=1))

    for token in (tenants, limited):
        refused = ask(client, token)
        assert refused.status_code == 403, refused.content
    assert join(client, expired).status_code == 401
    assert (
        join(client, people.token("admin", of="pool", is_operator=True)).json()["code"] == "no_console_token"
    )
    host = people.token("read", of="alice", scopes=["join"])
    assert join(client, host).status_code == 403
    assert not Console.objects.exists()


def test_a_console_token_opens_nothing_else_and_joins_no_host(client: Any) -> None:
    token = made(client)

    for path in ("/api/v1/consoles", "/api/v1/tokens", "/api/v1/messages"):
        assert client.get(path, headers=people.bearer(token)).status_code == 403
    body = {"uid": "host-1", "name": "sealer-a"}
    host = client.post(
        "/api/v1/workers:join", body, content_type="application/json", headers=people.bearer(token)
    )
    assert host.status_code == 403


def test_a_machine_that_works_stays_and_one_that_is_gone_is_removed(client: Any) -> None:
    admin = people.bearer(people.token("admin", of="pool", is_operator=True))
    Console.objects.create(machine="works", seen_at=clock.now(), started_at=clock.now())
    gone = clock.now() - timedelta(minutes=2)
    Console.objects.create(machine="gone", seen_at=gone, started_at=gone)

    listed = client.get("/api/v1/consoles", headers=admin).json()
    works = client.delete("/api/v1/consoles/works", headers=admin)
    removed = client.delete("/api/v1/consoles/gone", headers=admin)
    unknown = client.delete("/api/v1/consoles/gone", headers=admin)

    assert [(one["machine"], one["works"]) for one in listed] == [("gone", False), ("works", True)]
    assert (works.status_code, works.json()["code"]) == (409, "console_works")
    assert [removed.status_code, unknown.status_code] == [204, 404]
    assert list(Console.objects.values_list("machine", flat=True)) == ["works"]


def test_the_page_shows_the_token_once_and_no_command_has_it(client: Any) -> None:
    people.operator_person()
    Console.objects.create(
        machine="second",
        started_at=clock.now(),
        seen_at=clock.now(),
        unread=[
            {"machine": "first", "setting": "C1_DIR", "folder": "/mnt/c1", "reason": "another file is there"}
        ],
    )
    browser = signed_in("olga")

    page = text_of(browser.get("/consoles/"))
    asked = browser.post("/consoles/join/")
    shown = browser.post("/consoles/join/", {"sure": "yes"}, follow=True).content.decode()
    again = browser.get("/consoles/joining/")

    assert "C1_DIR of first: /mnt/c1: another file is there" in page
    assert "shared folders differ" in page
    assert "Whoever has it has the pool" in text_of(asked)
    text = unescape(shown)
    commands = text[text.index('id="commands"') :].partition("</pre>")[0]
    assert "make console JOIN=http://testserver JOIN_TOKEN_FILE=join-token" in commands
    assert "crosses the network" in text or "cross the network" in text
    token = re.search(r'id="token" value="(\S+?)"', text)
    assert token is not None
    assert token[1] not in commands
    assert join(client, token[1], machine="third").status_code == 201
    assert again["Location"] == "/consoles/"
    assert Console.objects.get(machine="third").joined_by == "olga"


def test_tenants_see_no_consoles() -> None:
    people.person("adam", role="TENANT_ADMIN", of="alice")
    browser = signed_in("adam")

    assert browser.get("/consoles/").status_code == 404
    assert browser.post("/consoles/join/", {"sure": "yes"}).status_code == 404
    assert "/consoles/" not in browser.get("/").content.decode()
