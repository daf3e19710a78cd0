"""An alert's page: who has it, what was written; to-do list and bell say so too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from apps.checks.models import Alert, AlertChannel
from apps.checks.services.alerts import alerts_update
from apps.checks.services.tenant_alerts import tenants_alerts_update
from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.users.selectors.principals import principal_of
from tests import factories
from tests.alerts import report_of
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, tenant

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db


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
    assert "<strong>olga has it since" in shown
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


def test_today_and_bell_say_who_has_it(owing: None) -> None:
    operator_person()
    page, row = signed_in("olga"), alert()
    link = reverse("alert", args=[row.uuid])

    assert f'<a href="{link}">Acknowledge' in text_of(page.get("/"))
    act(page, row, "acknowledge", hours="4")
    today = text_of(page.get("/"))
    assert f'<a href="{link}">olga has it since' in today
    assert "Acknowledge…" not in today.split("f-todo")[1].split(link)[0]
    assert "olga has it since" in text_of(page.get(reverse("audit"))), "the bell of any page"
    assert "olga has it since" in text_of(page.get(reverse("alerts")))


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
    assert "<strong>ann has it since" in text_of(auditor.get(here))
    assert "ann has it since" in text_of(auditor.get("/"))
    assert "<form" not in text_of(auditor.get(here)).split("f-alert-head")[1].split("f-alert-rows")[0]
    for name, status in (("anna", 404), ("bill", 404)):
        assert act(signed_in(name), row, "comment", text="x").status_code == status
    assert signed_in("bill").get(here).status_code == 404
    assert "ann has it since" not in text_of(signed_in("olga").get("/")), "the pool's alert is another one"
    assert act(signed_in("olga"), row, "comment", text="seen").status_code == 302


def test_open_page_of_an_alert_follows_it() -> None:
    olga = operator_person()
    row = alert()
    act(signed_in("olga"), row, "acknowledge", hours="4")
    viewer, key = principal_of(olga), f"alert:{row.uuid}"

    pushed = fragments_render({("alert", str(row.uuid))}, viewer=viewer, page=key)
    assert "olga has it since" in pushed
    assert "f-alert-rows" in pushed
    assert fragments_render({("alert", "0")}, viewer=viewer, page=key) == ""
    assert "olga has it since" in fragments_render({("alert", "0")}, viewer=viewer, page="alerts")


@pytest.mark.parametrize("op", ["acknowledge", "end", "comment", "dance"])
def test_act_on_an_unknown_alert_is_not_found(op: str) -> None:
    operator_person()
    page = signed_in("olga")

    address = reverse("alert-act", args=["00000000-0000-4000-8000-000000000000", op])
    assert page.post(address).status_code == 404
