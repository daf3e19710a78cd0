"""Join a host: page and REST make a join token, which one host exchanges for its own."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from apps.core import clock
from apps.users.models import AuditEntry, Token
from apps.users.selectors.tokens import token_by_text
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


def join(client, token, uid="host-1", name="sealer-a"):
    body = {"uid": uid, "name": name}
    return client.post(
        "/api/v1/workers:join", body, content_type="application/json", headers=people.bearer(token)
    )


def made(client, **body):
    admin = people.token("admin", of="alice")
    answer = client.post(
        "/api/v1/join-tokens", body, content_type="application/json", headers=people.bearer(admin)
    )
    assert answer.status_code == 201, answer.content
    return answer.json()["token"]


def test_a_host_gets_a_token_that_only_seals(client):
    own = join(client, made(client, part="sealer")).json()["token"]

    row = token_by_text(own)
    assert row is not None
    assert (row.name, row.perm, row.scopes, row.tenant.name) == ("sealer-a", "write", ["sealer"], "alice")
    assert join(client, own).status_code == 403
    assert AuditEntry.objects.filter(action="token.join", target="alice/sealer-a").count() == 1


def test_a_second_host_is_refused_and_the_first_may_ask_again(client):
    token = made(client, part="prover")
    first = join(client, token).json()["token"]

    other = join(client, token, uid="host-2")
    again = join(client, token).json()["token"]

    assert (other.status_code, other.json()["code"]) == (409, "join_token_used")
    assert [row.revoked_at is None for row in (token_by_text(first), token_by_text(again)) if row] == [
        False,
        True,
    ]


def test_an_old_one_or_one_of_another_kind_joins_nothing(client):
    token = made(client, part="sealer")
    Token.objects.filter(joins="sealer").update(expires_at=clock.now() - timedelta(seconds=1))

    assert join(client, token).status_code == 401
    assert join(client, people.token("admin", of="alice")).json()["code"] == "no_join_token"
    assert Token.objects.filter(scopes=["sealer"]).count() == 0


def test_a_join_token_opens_nothing_else(client):
    token = made(client, part="sealer")

    for path in ("/api/v1/workers", "/api/v1/tokens", "/api/v1/messages"):
        assert client.get(path, headers=people.bearer(token)).status_code == 403


def test_the_page_shows_the_token_once_and_no_command_has_it(client, settings):
    settings.SOURCE_URL = "https://git.example/poolsite.git"
    people.person("adam", role="TENANT_ADMIN", of="alice")
    browser = signed_in("adam")

    bad = browser.post(
        "/hosts/join/", {"part": "sealer", "tenant": "alice", "store": "mnt; rm", "sector_size": "32GiB"}
    )
    shown = browser.post(
        "/hosts/join/",
        {"part": "sealer", "tenant": "alice", "store": "/mnt/store", "sector_size": "32GiB"},
        follow=True,
    ).content.decode()
    again = browser.get("/hosts/joining/")

    assert bad.status_code == 422
    text = unescape(shown)
    commands = text[text.index('id="commands"') :].partition("</pre>")[0]
    assert "git clone https://git.example/poolsite.git poolsite && cd poolsite" in commands
    assert "(umask 077; cat > join-token) &&" in commands, "its next line is no token"
    assert (
        "make worker CONSOLE=http://testserver STORE=/mnt/store SECTOR_SIZE=32GiB JOIN_TOKEN_FILE=join-token"
        in commands
    )
    token = re.search(r'id="token" value="(\S+?)"', text)
    assert token is not None
    assert token[1] not in commands
    assert join(client, token[1]).status_code == 201
    lines = AuditEntry.objects.filter(action__in=["token.create", "token.join"]).order_by("pk")
    assert [(line.actor, line.target) for line in lines] == [
        ("adam", "alice/join a sealer"),
        ("token alice/join a sealer", "alice/sealer-a"),
    ]
    assert again["Location"] == "/hosts/"
    assert "Another machine cannot reach" not in text
    here = browser.post(
        "/hosts/join/",
        {"part": "sealer", "tenant": "alice", "store": "/mnt/store", "sector_size": "32GiB"},
        follow=True,
        headers={"host": "127.0.0.1:8100"},
    )
    assert "Another machine cannot reach http://127.0.0.1:8100" in text_of(here)


def test_an_operator_chooses_the_tenant_of_a_host_and_gets_its_sector_size(client):
    people.operator_person()
    factories.miner(of="alice")
    browser = signed_in("olga")
    body = {"part": "sealer", "store": "/mnt/store", "sector_size": ""}
    people.tenant("bob")

    begun = browser.get("/hosts/join/").content.decode()
    chosen = browser.get("/hosts/join/", {"tenant": "alice"}).content.decode()
    refused = browser.post("/hosts/join/", body)

    assert " selected" not in begun.partition('id="size"')[2].partition("</select>")[0]
    assert not re.search(r'value="(alice|bob|pool)"\s+selected', begun)
    assert re.search(r'value="2KiB"\s+selected', chosen)
    assert (refused.status_code, Token.objects.exclude(joins="").count()) == (422, 0)
    assert "choose a tenant" in text_of(refused)
