"""The page Audit: who reads which lines, what is found, exports, and the chain."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.core.redis_clients import redis_client
from apps.dashboard.audit_sentences import BY_UUID, NAMED, SENTENCES, WHOLE
from apps.dashboard.pages.audit.page import GROUPS, ChangeRow, change_rows
from apps.users.models import AuditEntry
from apps.users.selectors import audit_search
from apps.users.services.audit import audit_record
from tests import people
from tests.audit_rules import CHANGES, DOES, ENDS, MAKES
from tests.people import PASSWORD
from tests.query_plans import blocks_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_checked(pool_redis: str) -> None:
    redis_client().delete(audit_search.CHECKED)


def signed_in(name: str) -> Client:
    client = Client()
    assert client.login(username=name, password=PASSWORD)
    return client


def text_of(answer: Any) -> str:
    return b"".join(answer).decode() if answer.streaming else answer.content.decode()


def did(action: str = "token.create", target: str = "alice/sealer", *, of: str = "alice", **more: Any) -> Any:
    who = people.principal(of, actor=more.pop("actor", "adam"))
    return audit_record(principal=who, action=action, target=target, **more)


def changed(entry: AuditEntry) -> None:
    """Change a line behind the back of the database's own guard."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no trigger fires
        cursor.execute("UPDATE users_auditentry SET actor = 'nobody' WHERE id = %s", [entry.pk])
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_operators_see_all_tenants_and_auditors_their_own():
    people.operator_person()
    people.person("aud", role="AUDITOR")
    did(target="mine")
    did(target="strange", of="bob")

    own = text_of(signed_in("aud").get("/audit/"))
    every = text_of(signed_in("olga").get("/audit/"))

    assert "mine" in own
    assert "strange" not in own
    assert "mine" in every
    assert "strange" in every
    assert "Verify from the start" in every
    assert "Verify from the start" not in own


@pytest.mark.parametrize(
    ("query", "targets"),
    [
        ({}, {"one", "two", "three"}),
        ({"who": "EVE"}, {"two"}),
        ({"what": "token"}, {"one"}),
        ({"what": "ken"}, set()),
        ({"object": "hre"}, {"three"}),
        ({"since": "2026-11-02"}, {"two", "three"}),
        ({"until": "2026-11-02"}, {"one", "two"}),
        ({"since": "2026-11-02", "until": "2026-11-02", "who": "e"}, {"two"}),
    ],
)
def test_the_filter_finds_by_who_what_object_and_day(query, targets, monkeypatch):
    people.person("aud", role="AUDITOR")
    done = (
        ("one", "token.create", "adam", 1),
        ("two", "node.add", "eve", 2),
        ("three", "node.set", "adam", 3),
    )
    for target, action, actor, day in done:
        moment = datetime(2026, 11, day, 23, 59, tzinfo=UTC)
        monkeypatch.setattr("apps.core.clock.now", lambda moment=moment: moment)
        did(action, target, actor=actor)
    monkeypatch.undo()

    rows = json.loads(text_of(signed_in("aud").get("/audit.json", query)))

    assert {row["target"] for row in rows} == targets
    page = text_of(signed_in("aud").get("/audit/", query))
    assert all((f">{target}<" in page) == (target in targets) for target in ("one", "two", "three"))


def test_pages_follow_one_another_without_a_gap():
    people.person("aud", role="AUDITOR")
    for number in range(120):
        did(target=f"object-{number:03}")
    client, seen, there = signed_in("aud"), [], "/audit/?what=token"

    while there:
        page = text_of(client.get(there))
        seen += [word.split("<")[0] for word in page.split('<dd class="wrap">')[1:]]
        older = page.split('rel="next" href="')
        there = f"/audit/{older[1].split(chr(34))[0]}".replace("&amp;", "&") if len(older) > 1 else ""

    assert seen == [f"object-{number:03}" for number in reversed(range(120))]


def test_a_search_stops_after_so_many_lines_and_goes_on_when_asked(monkeypatch):
    monkeypatch.setattr(audit_search, "LINES_SEARCHED", 20)
    people.person("aud", role="AUDITOR")
    did(target="the needle")
    for number in range(50):
        did(target=f"object-{number:03}")
        did(target="strange needle", of="bob")
    client, there, looks = signed_in("aud"), "/audit/?object=needle", 0

    while there:
        page, looks = text_of(client.get(there)), looks + 1
        assert ("the needle" in page) == ("Searched" not in page)
        older = page.split('rel="next" href="')
        there = f"/audit/{older[1].split(chr(34))[0]}".replace("&amp;", "&") if len(older) > 1 else ""

    assert looks == 3
    assert "the needle" in page
    assert "the needle" in text_of(client.get("/audit.json?object=needle"))


CROWD = """
INSERT INTO users_auditentry (at, actor, tenant_id, source, action, target, previous_hash, entry_hash)
SELECT timestamptz '2026-01-01' + n * interval '1 minute', 'adam', %s, '', 'token.create', 'object', '',
    n::text
FROM generate_series(%s, %s) AS n
"""


def blocks(client: Client, address: str) -> int:
    """How many blocks of the database the page's queries touch."""
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return sum(blocks_of(asked.captured_queries, about="users_auditentry").values())


@pytest.mark.parametrize("name", ["olga", pytest.param("aud", marks=pytest.mark.slow), "bill"])
def test_no_search_reads_more_of_a_longer_log(name, monkeypatch):
    monkeypatch.setattr(audit_search, "LINES_SEARCHED", 1_000)
    people.operator_person()
    people.person("aud", role="AUDITOR")
    people.person("bill", of="bob")
    people.tenant("carol")
    client, tenant, seen = signed_in(name), people.tenant("alice").pk, []
    queries = (
        *("", "who=nobody", "since=2026-01-02&until=2026-01-02&what=node"),
        *("q=nothing", "tenant=carol", "object=f01004 / 12", "target=m-1"),
    )

    for first, last in ((1, 3_000), (3_001, 20_000)):
        with connection.cursor() as cursor:
            cursor.execute(CROWD, [tenant, first, last])
            cursor.execute("analyze users_auditentry")
        seen.append({query: blocks(client, f"/audit/?{query}") for query in queries})

    assert not {
        query: (seen[0][query], many) for query, many in seen[1].items() if many > seen[0][query] + 60
    }


def test_both_exports_hold_whole_lines_whose_hashes_can_be_computed_again():
    people.person("aud", role="AUDITOR")
    first, second = did(), did(before={"a": 1}, after={"a": "=cmd()"})
    client = signed_in("aud")

    rows = json.loads(text_of(client.get("/audit.json")))
    cells = list(csv.DictReader(io.StringIO(text_of(client.get("/audit.csv")))))

    assert [row["entry_hash"] for row in rows] == [second.entry_hash, first.entry_hash]
    assert rows[0]["previous_hash"] == first.entry_hash
    assert rows[0]["after"] == {"a": "=cmd()"}
    assert cells[0]["after"] == '{"a": "=cmd()"}'
    assert client.get("/audit.json", {"what": "none"}).status_code == 200
    assert text_of(client.get("/audit.json", {"what": "none"})) == "[]\n"


def test_the_page_says_how_far_the_chain_holds_and_goes_on_from_there(monkeypatch):
    people.operator_person()
    monkeypatch.setattr(audit_search, "STEP", 2)
    rows = [did(target=str(number)) for number in range(5)]
    client = signed_in("olga")

    for to, words in ((1, "check newer"), (3, "check newer"), (4, "it is the latest")):
        page = text_of(client.get("/audit/"))
        assert f"Hash chain verified through entry {rows[to].pk}:" in page
        assert words in page


def test_a_changed_line_is_named():
    people.operator_person()
    rows = [did(target=str(number)) for number in range(3)]
    client = signed_in("olga")
    assert f"Hash chain verified through entry {rows[2].pk}:" in text_of(client.get("/audit/"))
    call_command("audit_verify")

    changed(rows[1])

    assert client.post("/audit/check/").status_code == 302
    page = text_of(client.get("/audit/"))
    assert f"Entry {rows[1].pk} was modified:" in page
    assert f"the hash chain is intact through entry {rows[0].pk}." in page
    with pytest.raises(CommandError, match=f"entry {rows[1].pk} was changed"):
        call_command("audit_verify")


def test_only_the_operator_has_everything_checked():
    people.person("adam", role="TENANT_ADMIN")

    assert signed_in("adam").post("/audit/check/").status_code == 404


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (None, None, ()),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, (ChangeRow("b", "2", "3", False),)),
        (None, {"is_on": True}, (ChangeRow("is on", "", "yes", False),)),
        ({"methods": ["x", "y"]}, None, (ChangeRow("methods", "x, y", "", False),)),
        ("plain", {"deep": {"k": [1]}}, None),
        (None, {"diff": "-a\n+b"}, (ChangeRow("diff", "", "-a\n+b", True),)),
    ],
)
def test_before_and_after_are_put_side_by_side(before, after, lines):
    found = change_rows(before, after)

    assert found == lines if lines is not None else [one.name for one in found] == ["", "deep"]


def test_the_filter_offers_the_beginning_of_each_kind_of_action():
    recorded = {action.split(".")[0] for action in CHANGES | ENDS | MAKES | DOES}

    assert recorded - set(GROUPS) == set()


def test_every_action_has_a_sentence_with_its_object() -> None:
    assert {*CHANGES, *DOES, *ENDS, *MAKES, "login"} <= set(SENTENCES)
    for action, sentence in SENTENCES.items():
        assert str(sentence).startswith("{actor} "), action


def test_an_entry_is_a_sentence_with_links() -> None:
    people.person("aud", role="AUDITOR")
    uuid = "0e7f6a3e-5a0f-4f6c-8a5e-0d3f6a1b2c3d"
    for action, target in (
        ("worker.pause", f"sealer-2 ({uuid})"),
        ("sector.pause", "f01000 / 7"),
        ("no.such", "thing"),
    ):
        did(action, target, actor="ann")

    page = signed_in("aud").get("/audit/").content.decode()
    text = " ".join(re.sub(r"<[^>]+>", "", page).split())

    assert "ann paused host sealer-2" in text
    assert f'href="{reverse("host", args=[uuid])}"' in page
    assert "ann paused sector f01000 / 7" in text
    assert f'href="{reverse("sector-named", args=["f01000-7"])}"' in page
    assert "ann: no.such thing" in text


def test_what_an_entry_names_is_linked_to_a_page_that_opens() -> None:
    people.operator_person("root")
    named = {*NAMED, *WHOLE, *BY_UUID} - {"auto-rule", "deal"}
    for action in sorted(one for one in SENTENCES if one.partition(".")[0] in named):
        did(action, "alice/sealer-2", actor="ann")
    did("auto-rule.set", "0e7f6a3e-5a0f-4f6c-8a5e-0d3f6a1b2c3d", actor="ann")
    client = signed_in("root")

    page = client.get("/audit/").content.decode() + client.get("/audit/?what=person").content.decode()
    links = {html.unescape(one) for one in re.findall(r'<a\s+href="([^"]+)"\s*>alice/sealer-2', page)}

    assert {
        "/hosts/?q=sealer-2",
        "/storage/?q=sealer-2",
        "/tokens/?q=sealer-2",
        "/people/?q=sealer-2",
    } <= links
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)
    assert "/automation/0e7f6a3e" in page


def test_a_filter_that_there_is_not_is_refused_by_its_name() -> None:
    people.person("aud", role="AUDITOR")
    did("worker.pause", "sealer-2")
    client = signed_in("aud")

    for query, why in (
        ("whom=ann", "whom: there is no such filter"),
        ("since=yesterday", "since: must be a day"),
        ("until=9999-12-31", "until: must be a day"),
    ):
        answer = client.get(f"/audit/?{query}")
        assert answer.status_code == 422
        assert why in text_of(answer)
        assert "sealer-2" not in text_of(answer)
        assert client.get(f"/audit.csv?{query}").status_code == 422
    assert "Yesterday" in text_of(client.get("/audit/"))
