"""An alert's page: who has it, what was written; to-do list and bell say so too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.checks.findings.results import Finding, Link
from apps.checks.models import Alert, AlertChannel, AlertEntry, Notification
from apps.checks.report.report import Report, Result
from apps.checks.selectors.alert_history import check_times
from apps.checks.services.alerts import alerts_update
from apps.checks.services.deliver import notifications_deliver
from apps.checks.services.tenant_alerts import tenants_alerts_update
from apps.checks.table.checks import CHECKS
from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.principals import principal_of
from apps.users.services.audit import audit_record
from tests import factories
from tests.alerts import HOUR, Hook, channel, report_of
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, principal, tenant

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def owing() -> None:
    """A chain with a miner of a tenant that owes fees."""
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    factories.miner(3001, fee_debt=10**18)


def alert() -> Alert:
    """An alert of the whole pool that is open."""
    alerts_update(report=report_of("fee_debt"), pool="testnet", now=now())
    return Alert.objects.get(check_name="fee_debt", tenant=None, ended_at=None)


def act(page: Client, row: Alert, op: str, **form: str) -> Any:
    return page.post(reverse("alert-act", args=[row.uuid, op]), form)


def test_page_acknowledges_ends_and_comments() -> None:
    operator_person()
    page, row = signed_in("olga"), alert()
    here = reverse("alert", args=[row.uuid])

    assert "Acknowledge" in text_of(page.get(here))
    assert act(page, row, "acknowledge", hours="0")["Location"] == here
    shown = text_of(page.get(here))
    assert "<strong>Acknowledged by olga since" in shown
    assert "until it passes" in shown
    assert act(page, row, "comment", text="<b>paid</b>\nby hand")["Location"] == here
    assert "&lt;b&gt;paid&lt;/b&gt;<br>by hand" in text_of(page.get(here))
    assert act(page, row, "end", by="olga")["Location"] == here
    assert "olga ended the acknowledgement" in text_of(page.get(here))


def test_second_person_sees_who_was_first_and_what_was_typed_stays() -> None:
    operator_person()
    operator_person("omar")
    row = alert()
    act(signed_in("olga"), row, "acknowledge", hours="4")
    page = signed_in("omar")

    refused = act(page, row, "acknowledge", hours="1")
    assert refused.status_code == 422
    assert "olga acknowledged it at" in text_of(refused)
    assert act(page, row, "end", by="somebody").status_code == 422
    typed = "é" * 2001
    too_long = act(page, row, "comment", text=typed)
    assert (too_long.status_code, typed in text_of(too_long)) == (422, True)


def test_list_acknowledges_and_mutes_in_the_row() -> None:
    operator_person()
    operator_person("omar")
    page, row, here = signed_in("olga"), alert(), reverse("alerts")
    mute = reverse("check-act", args=["fee_debt", "mute"])

    assert "Acknowledge for 4 hours" in text_of(page.get(here))
    assert act(page, row, "acknowledge", hours="4", back="alerts")["Location"] == here
    shown = text_of(page.get(here))
    assert "Acknowledged by olga since" in shown
    assert "End acknowledgement" in shown
    assert act(signed_in("omar"), row, "acknowledge", hours="4", back="alerts").status_code == 422
    assert act(page, row, "end", by="olga", back="alerts")["Location"] == here

    refused = page.post(mute, {"mute_hours": "8", "mute_reason": " ", "back": "alerts"})
    assert refused.status_code == 422
    assert "say why" in text_of(refused)
    assert page.post(mute, {"mute_hours": "8", "mute_reason": "paid", "back": "alerts"})["Location"] == here
    shown = text_of(page.get(here))
    assert re.search(r"Muted until .*: paid", shown)
    assert "End mute" in shown
    assert (
        page.post(reverse("check-act", args=["fee_debt", "unmute"]), {"back": "alerts"})["Location"] == here
    )
    assert "Muted until" not in text_of(page.get(here))


def test_list_leaves_no_open_alert_out() -> None:
    operator_person()
    names = [one.name for one in CHECKS]
    alerts_update(report=report_of(*names), pool="testnet", now=now())

    shown = text_of(signed_in("olga").get(reverse("alerts")))
    assert [name for name in names if f"{name} is wrong" not in shown] == []


def test_tenant_mutes_nothing_in_its_rows(owing: None) -> None:
    person("ann", role="TENANT")
    person("anna", role="AUDITOR")
    AlertChannel.objects.create(tenant=tenant("alice"), name="ops", kind="WEBHOOK", target="x")
    tenants_alerts_update(pool="testnet", now=now())

    shown = text_of(signed_in("ann").get(reverse("alerts")))
    assert "Acknowledge for 4 hours" in shown
    assert "Mute…" not in shown
    assert "Acknowledge for 4 hours" not in text_of(signed_in("anna").get(reverse("alerts")))


def test_today_and_bell_say_who_has_it(owing: None) -> None:
    operator_person()
    page, row = signed_in("olga"), alert()
    link = reverse("alert", args=[row.uuid])

    assert f'<a href="{link}">Acknowledge' in text_of(page.get("/"))
    act(page, row, "acknowledge", hours="4")
    today = text_of(page.get("/"))
    assert f'<a href="{link}">Acknowledged by olga since' in today
    assert "Acknowledge…" not in today.split("f-todo")[1].split(link)[0]
    assert "Acknowledged by olga since" in text_of(page.get(reverse("audit"))), "the bell of any page"
    assert "Acknowledged by olga since" in text_of(page.get(reverse("alerts")))


def test_tenants_people_work_on_their_own_alerts(owing: None) -> None:
    person("ann", role="TENANT")
    person("anna", role="AUDITOR")
    person("bill", of="bob")
    operator_person()
    AlertChannel.objects.create(tenant=tenant("alice"), name="ops", kind="WEBHOOK", target="x")
    tenants_alerts_update(pool="testnet", now=now())
    row = Alert.objects.get(check_name="fee_debt", tenant=tenant("alice"))
    here = reverse("alert", args=[row.uuid])

    assert reverse("alert", args=[row.uuid]) in text_of(signed_in("ann").get(reverse("alerts")))
    assert act(signed_in("ann"), row, "acknowledge", hours="4").status_code == 302
    auditor = signed_in("anna")
    assert "<strong>Acknowledged by ann since" in text_of(auditor.get(here))
    assert "Acknowledged by ann since" in text_of(auditor.get("/"))
    assert "<form" not in text_of(auditor.get(here)).split("f-alert-head")[1].split("f-alert-rows")[0]
    for name, status in (("anna", 404), ("bill", 404)):
        assert act(signed_in(name), row, "comment", text="x").status_code == status
    assert signed_in("bill").get(here).status_code == 404
    assert "Acknowledged by ann since" not in text_of(signed_in("olga").get("/")), (
        "the pool's alert is another one"
    )
    assert act(signed_in("olga"), row, "comment", text="seen").status_code == 302


def test_open_page_of_an_alert_follows_it() -> None:
    olga = operator_person()
    row = alert()
    act(signed_in("olga"), row, "acknowledge", hours="4")
    viewer, key = principal_of(olga), f"alert:{row.uuid}"

    pushed = fragments_render({("alert", str(row.uuid))}, viewer=viewer, page=key)
    assert "Acknowledged by olga since" in pushed
    assert "f-alert-rows" in pushed
    assert fragments_render({("alert", "0")}, viewer=viewer, page=key) == ""
    assert "Acknowledged by olga since" in fragments_render({("alert", "0")}, viewer=viewer, page="alerts")


@pytest.mark.parametrize("op", ["acknowledge", "end", "comment", "dance"])
def test_act_on_an_unknown_alert_is_not_found(op: str) -> None:
    operator_person()
    page = signed_in("olga")

    address = reverse("alert-act", args=["00000000-0000-4000-8000-000000000000", op])
    assert page.post(address).status_code == 404


def past(number: int = 0, **values: Any) -> Alert:
    """An alert of a day ago, that lasted an hour."""
    at = now() - timedelta(days=1, minutes=number)
    given = {"check_name": "hosts_away", "title": "t", "severity": "warning", "say": f"host-{number} offline"}
    return Alert.objects.create(
        **{**given, "count": 1, "began_at": at, "since": at, "ended_at": at + HOUR, **values}
    )


def test_history_tells_what_was_sent_and_done_to_the_same_objects(hook: Hook) -> None:
    olga = operator_person()
    channel("ops", target=hook.url)
    by = principal_of(olga)
    audit_record(principal=by, action="worker.pause", target="sealer-9 (7f0c)", after={})
    audit_record(principal=by, action="worker.pause", target="sealer-8", after={})
    found = Finding("away", "sealer-9 is offline", link=Link("miner", ("f03001",)))
    results = [Result(check, (found,) if check.name == "hosts_away" else ()) for check in CHECKS]
    alerts_update(report=Report(now(), tuple(results)), pool="testnet", now=now())
    audit_record(principal=by, action="miner.proving", target="f03001 / 7", after={})
    hook.status = 503
    notifications_deliver(now=now)
    row = Alert.objects.get()
    act(signed_in("olga"), row, "comment", text="looking")

    shown = text_of(signed_in("olga").get(reverse("alert", args=[row.uuid])))
    shown = shown.split("f-alert-rows")[1].split("h-comment")[0]
    words = ["olga paused host sealer-9 (7f0c)", "Started failing", "Notified ops: started failing"]
    words += ["HTTP status 503", "olga changed the proving settings of miner f03001 / 7"]
    words += ["olga commented", "looking"]
    at = [shown.index(word) for word in words]
    assert at == sorted(at)
    assert "sealer-8" not in shown
    assert "alert.comment" not in shown, "that is the line above"


def test_history_of_a_tenant_tells_nothing_of_others(owing: None) -> None:
    person("ann")
    operator = principal_of(operator_person())
    own = AlertChannel.objects.create(tenant=tenant("alice"), name="own", kind="WEBHOOK", target="x")
    tenants_alerts_update(pool="testnet", now=now())
    audit_record(principal=operator, action="miner.proving", target="f03001", after={})
    audit_record(principal=principal("alice", actor="ann"), action="miner.batches", target="f03001", after={})
    row = Alert.objects.get(check_name="fee_debt", tenant=tenant("alice"))
    foreign = channel("of the pool")
    Notification.objects.create(channel=foreign, alert=row, event="STARTED", body={}, created_at=now())

    shown = text_of(signed_in("ann").get(reverse("alert", args=[row.uuid])))

    assert f"Notified {own.name}" in shown
    assert "ann changed the batch settings of miner f03001" in shown
    assert not [word for word in ("of the pool", "proving settings") if word in shown]


def test_an_open_alert_says_what_fails_why_and_where_critical_ones_first(owing: None) -> None:
    operator_person()
    olga = signed_in("olga")
    host = factories.worker("sealer-2", seen_at=now() - HOUR)
    alerts_update(report=PageData(SYSTEM).report, pool="testnet", now=now())
    Alert.objects.filter(check_name="fee_debt").update(since=now() - HOUR)

    rows, checks = text_of(olga.get(reverse("alerts"))), text_of(olga.get(reverse("checks")))

    debt, away = (Alert.objects.get(check_name=name) for name in ("fee_debt", "hosts_away"))
    places = [rows.index(f'id="alert-{row.uuid}"') for row in (debt, away)]
    assert places == sorted(places), "the older one is critical"
    pages = [text_of(olga.get(reverse("alert", args=[row.uuid]))) for row in (debt, away)]
    for text in (rows, checks, pages[0]):
        assert "a miner in debt cannot pre-commit, recover faults or withdraw: send it funds" in text
        assert f'href="{reverse("miner", args=["f03001"])}"' in text
        assert "Condition: No miner owes fees" in text
    for text in (rows, checks, pages[1]):
        assert "last seen 1 h 00 ago" in text
        assert f'href="{reverse("host", args=[host.uuid])}"' in text
        assert "sealer-2 offline" in text
        assert "Sealer-2" not in text
    assert "<h1>sealer-2 offline</h1>" in pages[1]


def test_a_tenants_alert_is_not_explained_by_what_the_operator_sees(owing: None) -> None:
    operator_person()
    factories.worker("sealer-2", of="bob", seen_at=now() - HOUR)
    row = past(1, ended_at=None, tenant=tenant("alice"), say="host of alice offline")

    text = text_of(signed_in("olga").get(reverse("alert", args=[row.uuid])))

    assert ("host of alice offline" in text, "last seen" in text) == (True, False)


def test_past_alerts_are_filtered_paged_and_downloaded() -> None:
    operator_person()
    person("bill", of="bob")
    for number in range(ROWS + 5):
        past(number)
    past(500, check_name="fee_debt", severity="critical", say="=cmd in debt", times=3)
    past(501, tenant=tenant("bob"), say="bobs host")
    page, here = signed_in("olga"), reverse("alerts-history")

    first = text_of(page.get(here))
    assert ("bobs host" in first, "=cmd in debt" in first) == (False, True)
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    second = text_of(page.get(here + older[1].replace("&amp;", "&")))
    assert ("host-0 offline" in second, "=cmd in debt" in second) == (True, False)
    for query in ("severity=critical", "check=fee_debt", "state=ended&check=fee_debt"):
        text = text_of(page.get(f"{here}?{query}"))
        assert ("in debt" in text, "host-3 offline" in text) == (True, False), query
    assert "host-54 offline" in text_of(page.get(f"{here}?sort=since&check=hosts_away"))
    tomorrow = f"{now() + timedelta(days=1):%Y-%m-%d}"
    for query in ("state=open", "check=gone", "until=2024-01-01", f"since={tomorrow}"):
        assert "No matching alerts" in text_of(page.get(f"{here}?{query}")), query
    assert "bobs host" in text_of(page.get(f"{here}?tenant=bob"))
    for query in ("state=x", "since=y", "severity=high", "nope=1", "sort=say"):
        answer = page.get(f"{here}?{query}")
        assert (answer.status_code, "This filter cannot be read" in text_of(answer)) == (422, True), query

    csv = reverse("alerts-history-csv")
    lines = text_of(page.get(f"{csv}?check=fee_debt")).splitlines()
    assert lines[0].startswith("uuid,tenant,check,")
    assert [line.split(",")[6] for line in lines[1:]] == ["'=cmd in debt"]
    assert page.get("/alerts.csv?check=fee_debt")["Location"] == f"{csv}?check=fee_debt", "its address before"
    theirs = text_of(signed_in("bill").get(csv))
    assert ("bobs host" in theirs, "in debt" in theirs) == (True, False)
    theirs = text_of(signed_in("bill").get(f"{here}?tenant=alice"))
    assert ("bobs host" in theirs, "in debt" in theirs) == (False, False)


def test_a_past_alert_is_updated_live_where_it_fits() -> None:
    viewer, row = principal_of(operator_person()), past(1, ended_at=None)
    changes = {("alert", str(row.uuid))}

    shown = fragments_render(changes, viewer=viewer, page="alerts-history:state=open")
    other = fragments_render(changes, viewer=viewer, page="alerts-history:state=ended")

    assert ("host-1 offline" in shown, "data-order" in shown) == (True, True)
    assert "data-order" not in other


def test_times_to_acknowledge_and_to_end_are_medians_of_a_month() -> None:
    operator = principal_of(operator_person())
    for number, minutes in enumerate((5, 10, 600)):
        row = past(number, ended_at=None if number else now(), check_name=f"check_{number}")
        Alert.objects.filter(pk=row.pk).update(
            check_name="hosts_away", ended_at=row.began_at + minutes * MINUTE
        )
        for later in range(2):
            AlertEntry.objects.create(
                alert=row, at=row.began_at + (number + later) * MINUTE, kind="ACKNOWLEDGED", count=1
            )
    past(3, began_at=now() - timedelta(days=31))
    past(4, tenant=tenant("bob"))

    [found] = check_times(operator, now=now())

    assert (found.alerts, found.acknowledged) == (3, 3)
    assert (found.to_acknowledge, found.to_end) == (MINUTE, 10 * MINUTE)
