"""A tenant whose people sign in has alerts though nothing is sent; evaluating many takes a bounded time."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from apps.checks.models import Alert
from apps.checks.services import tenant_alerts
from apps.checks.services.tenant_alerts import tenants_alerts_update
from apps.users.models import User
from apps.users.services.tenants import tenant_update
from tests import factories, people
from tests.alerts import SECRET_URL, T0, channel
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def three_tenants_in_debt(shared_reports: str) -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    for at, name in enumerate(("alice", "bob", "carol")):
        factories.miner(2001 + at, of=name, fee_debt=10**18)


def alerted() -> list[str]:
    """Evaluate the tenants' checks; who has an open alert then."""
    tenants_alerts_update(pool="testnet", now=T0)
    rows = Alert.objects.filter(check_name="fee_debt", ended_at=None).order_by("tenant__name")
    return list(rows.values_list("tenant__name", flat=True))


def test_a_tenant_with_people_has_alerts_without_a_channel() -> None:
    people.person("ann")

    assert alerted() == ["alice"]
    client, alert = signed_in("ann"), Alert.objects.get(check_name="fee_debt")
    page = reverse("alert", args=[alert.uuid])
    assert page in client.get(reverse("alerts")).content.decode()
    assert page in client.get(reverse("alerts-history")).content.decode()
    assert page in client.get(reverse("today")).content.decode(), "of what is to be done, too"
    client.post(reverse("alert-act", args=[alert.uuid, "acknowledge"]), {"hours": "1"})
    assert "Acknowledged by ann" in text_of(client.get(page))


def test_a_tenant_that_nobody_signs_in_for_is_not_evaluated() -> None:
    people.person("ann")
    people.person("bill", of="bob")
    assert alerted() == ["alice", "bob"]

    User.objects.filter(username="ann").update(is_active=False)
    tenant_update(tenant=people.tenant("bob"), enabled=False)

    assert alerted() == []


def test_tenants_beyond_the_time_come_with_the_next_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, tenant in (("ann", "alice"), ("bill", "bob"), ("cleo", "carol")):
        people.person(name, of=tenant)
    monkeypatch.setattr(tenant_alerts, "UNNOTIFIED_S", 0.0)

    assert [alerted() for _ in range(4)] == [
        ["alice"],
        ["alice", "bob"],
        ["alice", "bob", "carol"],
        ["alice", "bob", "carol"],
    ]


def test_tenants_without_channels_delay_none_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    people.person("ann")
    people.person("bill", of="bob")
    channel(target=SECRET_URL, tenant=people.tenant("carol"))
    evaluated: list[str] = []
    found = tenant_alerts.tenant_report_read

    def noted(tenant: Any) -> Any:
        evaluated.append(tenant.name)
        return found(tenant)

    monkeypatch.setattr(tenant_alerts, "tenant_report_read", noted)
    monkeypatch.setattr(tenant_alerts, "UNNOTIFIED_S", 0.0)

    for _ in range(3):
        alerted()

    assert evaluated == ["carol", "alice", "carol", "bob", "carol", "alice"]
