"""The timeline of a tenant and of a miner: what several tables have, in one order, page by page."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.checks.models import Alert
from apps.checks.selectors import timeline
from apps.checks.selectors.timeline import TimelineFilter, miner_timeline, tenant_timeline
from apps.core.clock import now
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.sectors.models import JobEvent, Sector, Store, StoreEvent, Worker, WorkerCommand
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.users.services.audit import audit_record
from poolsite.wire.pipeline import SectorState
from tests import factories, people
from tests.bulk_rows import LANDED, row_copies_insert
from tests.page_client import signed_in, text_of
from tests.people import principal
from tests.query_plans import reads_of

pytestmark = pytest.mark.django_db

ALL = TimelineFilter()
MOST_QUERIES = 19


def alert_at(hours: float, *, of: str = "alice", name: str = "", **data: Any) -> Alert:
    at = now() - timedelta(hours=hours)
    row: dict[str, Any] = {"title": "t", "severity": "warning", "count": 1, "ended_at": at}
    row |= {"say": f"alert {hours} of {of}", "began_at": at, "since": at, "check_name": f"c{hours}"}
    return Alert.objects.create(tenant=people.tenant(of), object_names=[name] if name else [], **row | data)


def message_at(hours: float, *, of: str = "alice", **data: Any) -> Message:
    row = factories.message(f"{of}-{hours}", of=of, **data)
    Message.objects.filter(pk=row.pk).update(created_at=now() - timedelta(hours=hours))
    return row


def win_at(hours: float, miner: Miner) -> Round:
    at = now() - timedelta(hours=hours)
    row: dict[str, Any] = {"base_height": 9_000, "win_count": 1, "budget_ms": 0, "state": RoundState.INCLUDED}
    return Round.objects.create(miner=miner, epoch=10_000 - int(hours * 10), at=at, **row)


def act_by(actor: str, *, of: str = "alice", target: str = "x") -> AuditEntry:
    audit_record(principal=principal(of, actor=actor), action="sector.pause", target=target)
    row = AuditEntry.objects.last()
    assert row is not None
    return row


def walked(read: Any, *, limit: int) -> list[Any]:
    """Return all entries page by page; none may come twice."""
    found: list[Any] = []
    after: dict[str, str] = {}
    for _ in range(200):
        page = read(after=after, limit=limit)
        found += page.entries
        after = dict(page.after)
        if not after:
            return found
    raise AssertionError("the timeline has no end")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_each_entry_is_shown_once_and_in_order_however_long_the_pages_are(limit):
    miner = factories.miner()
    alice = people.tenant("alice")
    for hours in (4.0, 3.0, 3.0, 3.0, 2.0, 1.0):
        alert_at(hours, check_name=f"c{Alert.objects.count()}")
    for hours in (1.5, 2.5, 9.0):
        message_at(hours)
    for hours in (0.5, 7.0):
        win_at(hours, miner)
    for actor in ("ann", "adam", "ann"):
        act_by(actor)

    found = walked(lambda **at: tenant_timeline(SYSTEM, alice, ALL, **at), limit=limit)

    assert len(found) == 6 + 3 + 2 + 3
    assert len({(one.kind, one.row.pk) for one in found}) == len(found)
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)


@pytest.mark.parametrize("limit", [1, 50])
def test_a_miners_timeline_searches_on_where_a_page_found_nothing(limit, monkeypatch):
    monkeypatch.setattr(timeline, "ALERTS_SEARCHED", 3)
    monkeypatch.setattr("apps.users.selectors.audit_search.LINES_SEARCHED", 3)
    miner = factories.miner()
    act_by("first", target=miner.address)
    alert_at(50, name=miner.address)
    for hours in range(10, 1, -1):
        alert_at(hours)
        act_by(f"other-{hours}", target="f09999")
    message_at(5, to=miner.address)
    message_at(4)
    win_at(3, miner)

    found = walked(lambda **at: miner_timeline(SYSTEM, miner, ALL, **at), limit=limit)

    assert sorted(one.kind for one in found) == ["act", "alert", "block", "message"]


def test_a_page_costs_the_same_however_long_the_tables_are():
    miner = factories.miner()
    alice = people.tenant("alice")

    def asked() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as one:
            tenant_timeline(SYSTEM, alice, ALL, after={}, limit=20)
        with CaptureQueriesContext(connection) as other:
            miner_timeline(SYSTEM, miner, ALL, after={}, limit=20)
        return len(one), len(other)

    before = asked()
    for hours in range(30):
        alert_at(hours, check_name=f"c{hours}")
        message_at(hours)
        win_at(hours, miner)
        act_by("ann", target=miner.address)
    assert asked() == before
    assert max(before) <= MOST_QUERIES


def test_a_miner_whose_messages_are_old_is_not_searched_for_among_all():
    miner = factories.miner()
    old, other = message_at(1, to=miner.address), message_at(2, to="f09999")
    before = "now() - interval '1 day' - n * interval '1 second'"
    ids = {"id": "'old-' || n", "push_id": "'old-' || n", "nonce": "2000000 + n", "created_at": before}
    with connection.cursor() as cursor:
        for row, changed, count in ((other, LANDED, 5_000), (old, LANDED | ids, 300)):
            rows = f"generate_series(1, {count}) n"
            row_copies_insert(cursor, "messages_message", of=f"id = '{row.pk}'", changed=changed, rows=rows)
        cursor.execute("analyze messages_message")

    with CaptureQueriesContext(connection) as asked:
        page = miner_timeline(SYSTEM, miner, ALL, after={}, limit=20)

    assert len(page.entries) == 20
    reads = reads_of(asked.captured_queries, about="messages_message")
    assert sum(read.rows for read in reads.values()) < 200
    assert not any('"params"' in sql for sql in reads)


def sector_step(hours: float, miner: Miner, *, event: str = "FINALIZE", **data: Any) -> JobEvent:
    sector = Sector.objects.filter(miner=miner).first() or factories.sector(miner, state=SectorState.PROVING)
    at = now() - timedelta(hours=hours)
    facts = {"from_state": "COMMIT_LANDED", "to_state": "PROVING", "at": at, "actor": "console", **data}
    return JobEvent.objects.create(job=sector.job, event=event, **facts)


def farm_of(tenant: str, miner: Miner, hours: float = 1) -> None:
    """A step of a sector, an order to a host and an event of a store."""
    host = factories.worker(f"host-{tenant}", of=tenant)
    sector_step(hours, miner, note="no space left", is_error=True, stage="PC1", event="FAIL", worker=host)
    sector_step(hours, miner)
    order = WorkerCommand.objects.create(worker=host, op="pause", actor="ann", done_at=now())
    WorkerCommand.objects.filter(pk=order.pk).update(created_at=now() - timedelta(hours=hours))
    store, _ = Store.objects.get_or_create(tenant=people.tenant(tenant), uid=tenant, name=f"store-{tenant}")
    at = now() - timedelta(hours=hours)
    StoreEvent.objects.create(store=store, at=at, event="ATTACHED", actor=f"host-{tenant}")


def test_sectors_hosts_and_stores_of_the_tenant_are_on_it_and_no_other() -> None:
    people.operator_person()
    people.person("ann")
    mine, other = factories.miner(name="fra-1"), factories.miner(of="bob")
    farm_of("alice", mine)
    farm_of("bob", other)
    sector_step(0.5, mine, event="PC1")
    WorkerCommand.objects.create(worker=Worker.objects.get(name="host-alice"), op="check_sector", actor="x")
    alice, ann = people.tenant("alice"), signed_in("ann")

    for page in (
        reverse("tenant-timeline", args=[alice.uuid]),
        reverse("miner-timeline", args=[mine.address]),
    ):
        shown = rows_of(ann, page)
        number = Sector.objects.get(miner=mine).number
        assert f"{mine.address} / {number}: PC1 failed; no space left" in shown
        assert "host-alice ordered to pause; ann" in shown
        assert "store-alice: attached to host-alice" in shown
        assert shown.count(f"{mine.address} / {number}:") == 2, "each step is on the sector's page"
        assert "bob" not in shown
        only = rows_of(ann, page, kind="store")
        assert "store-alice" in only
        assert "ordered" not in only

    found = rest(f"miners/{mine.address}/timeline").json()["results"]
    sector = Sector.objects.get(miner=mine)
    assert {(one["kind"], one["what"], one["of"], one["state"]) for one in found} == {
        ("sector", "FAIL", f"{mine.address}/{sector.number}", "PROVING"),
        ("sector", "FINALIZE", f"{mine.address}/{sector.number}", "PROVING"),
        ("host", "pause", "host-alice", "done"),
        ("store", "ATTACHED", "store-alice", ""),
    }
    assert {one["key"] for one in found if one["kind"] == "sector"} == {str(sector.uuid)}
    hosts = rest("tenants/alice/timeline", kind="host").json()["results"]
    assert [one["kind"] for one in hosts] == ["host"]


@pytest.mark.parametrize("limit", [1, 50])
def test_events_of_others_are_searched_through_page_by_page(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "EVENTS_SEARCHED", 3)
    miner, other = factories.miner(), factories.miner(of="bob")
    farm_of("alice", miner, 20)
    for hours in range(10, 1, -1):
        farm_of("bob", other, hours)
    sector_step(1, miner)
    alert_at(15)

    found = walked(lambda **at: tenant_timeline(SYSTEM, people.tenant("alice"), ALL, **at), limit=limit)

    assert sorted(one.kind for one in found) == ["alert", "host", "sector", "sector", "sector", "store"]
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    since = TimelineFilter(since=now() - timedelta(hours=3))
    page = tenant_timeline(SYSTEM, people.tenant("alice"), since, after={}, limit=50)
    assert [one.kind for one in page.entries] == ["sector"]


def test_a_page_reads_a_bounded_part_of_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "EVENTS_SEARCHED", 100)
    miner, other = factories.miner(), factories.miner(of="bob")
    farm_of("alice", miner, 2000)
    farm_of("bob", other, 1000)
    for table, model in (("sectors_jobevent", JobEvent), ("sectors_storeevent", StoreEvent)):
        last = model.objects.latest("pk")
        with connection.cursor() as cursor:
            changed = {"id": f"{last.pk} + n", "at": "now() - interval '900 hours' + n * interval '1 minute'"}
            rows = "generate_series(1, 5000) n"
            row_copies_insert(cursor, table, of=f"id = {last.pk}", changed=changed, rows=rows)
            cursor.execute(f"analyze {table}")

    with CaptureQueriesContext(connection) as asked:
        page = miner_timeline(SYSTEM, miner, ALL, after={}, limit=20)

    assert page.after
    for table in ("sectors_jobevent", "sectors_storeevent"):
        reads = reads_of(asked.captured_queries, about=table)
        assert reads
        assert sum(read.rows for read in reads.values()) < 1000


def rows_of(client: Client, page: str, **query: str) -> str:
    answer = client.get(page, query)
    assert answer.status_code == 200
    return unescape(text_of(answer)).partition('class="toolbar"')[2]


def test_the_page_says_acts_as_sentences_and_is_narrowed_by_kind_and_day():
    people.operator_person()
    miner = factories.miner(name="fra-1")
    olga, page = signed_in("olga"), reverse("miner-timeline", args=[miner.address])
    alert_at(40, name=miner.address)
    message_at(1, to=miner.address)
    win_at(2, miner)
    act_by("ann", target=miner.address)

    everything = rows_of(olga, page)
    assert "<strong>ann</strong>" in everything
    assert "alert 40 of alice" in everything
    assert "fra-1 won epoch" in everything
    assert "to fra-1" in everything
    wins = rows_of(olga, page, kind="block")
    assert "won epoch" in wins
    assert "<strong>ann</strong>" not in wins
    early = rows_of(olga, page, until=f"{now() - timedelta(hours=30):%Y-%m-%d}")
    assert "alert 40" in early
    assert "won epoch" not in early
    assert "won epoch" in rows_of(olga, page, tenant="alice"), "the scope in an address is no filter of it"
    for query in ({"kind": "x"}, {"since": "soon"}, {"what": "x"}):
        assert olga.get(page, query).status_code == 422


def test_nobody_sees_what_is_another_tenants():
    people.operator_person()
    people.person("ann")
    alice, bob = people.tenant("alice"), people.tenant("bob")
    mine, other = factories.miner(), factories.miner(of="bob")
    for of, miner in (("alice", mine), ("bob", other)):
        alert_at(1, of=of)
        message_at(2, of=of, to=miner.address)
        win_at(3, miner)
        act_by(f"actor-{of}", of=of)
    audit_record(principal=principal("pool", is_operator=True), action="tenant.update", target="alice")
    ann, olga = signed_in("ann"), signed_in("olga")

    hers = rows_of(ann, reverse("tenant-timeline", args=[alice.uuid]))
    assert "actor-alice" in hers
    assert "alert 1 of alice" in hers
    assert "bob" not in hers
    assert "changed tenant" not in hers, "what an operator did is the pool's"
    assert "changed tenant" in rows_of(olga, reverse("tenant-timeline", args=[alice.uuid]))
    for page, key in (("tenant-timeline", bob.uuid), ("miner-timeline", other.address)):
        assert ann.get(reverse(page, args=[key])).status_code == 404
        assert "bob" in rows_of(olga, reverse(page, args=[key]))
    assert not re.search(r"actor-bob", rows_of(ann, reverse("miner-timeline", args=[mine.address])))


def rest(path: str, *, of: str = "alice", **query: Any) -> Any:
    token = people.operator_token() if of == "pool" else people.token("read", of=of)
    return Client().get(f"/api/v1/{path}", query, headers=people.bearer(token))


def test_rest_lists_the_same_page_by_page():
    miner = factories.miner()
    alert = alert_at(40, name=miner.address)
    message = message_at(1, to=miner.address)
    win = win_at(2, miner)
    act = act_by("ann", target=miner.address)
    path, found, cursor = f"miners/{miner.address}/timeline", [], ""

    for _ in range(10):
        body = rest(path, limit=1, **({"cursor": cursor} if cursor else {})).json()
        found += body["results"]
        cursor = body["next"]
        if cursor is None:
            break

    assert [(one["kind"], one["key"], one["what"], one["about"]) for one in found] == [
        ("act", str(act.pk), "sector.pause", miner.address),
        ("message", message.pk, str(message.method), miner.address),
        ("block", str(win.epoch), miner.address, ""),
        ("alert", str(alert.uuid), "c40", "alert 40 of alice"),
    ]
    assert [one["kind"] for one in rest("tenants/alice/timeline", kind="block").json()["results"]] == [
        "block"
    ]
    ago = (now() - timedelta(hours=30)).isoformat()
    for query, kinds in (({"before": ago}, ["alert"]), ({"after": ago}, ["act", "message", "block"])):
        assert [one["kind"] for one in rest(path, **query).json()["results"]] == kinds
    for query in ({"kind": "x"}, {"after": "soon"}, {"what": "x"}, {"cursor": "x"}):
        assert rest(path, **query).status_code in (400, 422), query


def test_rest_shows_only_the_tenants_own_and_takes_no_other_cursor():
    mine, other = factories.miner(), factories.miner(of="bob")
    for hours in (1, 2):
        win_at(hours, mine)
        win_at(hours, other)

    assert rest(f"miners/{other.address}/timeline").status_code == 404
    assert rest("tenants/bob/timeline").status_code == 404
    assert rest("tenants/nobody/timeline", of="pool").status_code == 404
    assert len(rest("tenants/bob/timeline", of="pool").json()["results"]) == 2
    cursor = rest(f"miners/{mine.address}/timeline", limit=1).json()["next"]
    assert rest("tenants/alice/timeline", cursor=cursor).json()["field"] == "cursor"
