"""A tenant's channels are told of what is the tenant's own, and of nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.services import tenant_alerts
from apps.checks.services.channels import (
    CHANNELS_MAX,
    CLAIM,
    channel_remove,
    channel_set,
    channel_test,
)
from apps.checks.services.deliver import notifications_deliver
from apps.checks.services.tenant_alerts import tenants_alerts_update
from apps.checks.table.checks import CHECKS
from apps.checks.tasks import alerts_run
from apps.core.errors import Conflict, NotAllowed
from apps.miners.models import Miner
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.users.services.tenants import tenant_update
from tests import factories, people
from tests.alerts import SECRET_URL, T0, Hook, channel, report_of

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def two_tenants_in_debt(settings: Any) -> None:
    settings.ALERT_URLS_PRIVATE = True
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    factories.miner(2001, of="alice", fee_debt=10**18)
    factories.miner(3001, of="bob", fee_debt=2 * 10**18)


def own(tenant: str, name: str = "ops", target: str = SECRET_URL, **values: Any) -> AlertChannel:
    """A webhook of a tenant."""
    return channel(name, target, tenant=people.tenant(tenant), **values)


def told(minute: int = 0) -> list[tuple[str, str]]:
    """Evaluate the tenants' checks; whose channel is sent what of its debt."""
    rows = tenants_alerts_update(pool="testnet", now=T0 + minute * MINUTE)
    return sorted(
        (str(row.channel.tenant), str(row.event)) for row in rows if row.body["check"] == "fee_debt"
    )


def test_each_tenant_is_told_of_its_own_miners_alone() -> None:
    own("alice")
    own("bob")

    tenants_alerts_update(pool="testnet", now=T0)

    said: dict[str, str] = {}
    for row in Notification.objects.select_related("channel__tenant"):
        said[str(row.channel.tenant)] = said.get(str(row.channel.tenant), "") + repr((row.text, row.body))
    assert said.keys() == {"alice", "bob"}
    assert "f02001" in said["alice"]
    assert "f03001" in said["bob"]
    assert not any(word in said["alice"] for word in ("f03001", "bob"))
    assert not any(word in said["bob"] for word in ("f02001", "alice"))


def test_miner_that_went_to_another_tenant_is_told_of_there() -> None:
    own("alice")
    own("bob")
    assert told() == [("alice", "STARTED"), ("bob", "STARTED")]

    Miner.objects.filter(actor_id=2001).update(tenant=people.tenant("bob"))

    assert told(minute=90) == [("alice", "ENDED"), ("bob", "REPEATED")]
    assert "f02001" in Notification.objects.filter(channel__tenant__name="bob").latest("pk").text


def test_pool_wide_checks_are_told_to_no_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    own("alice")
    every = [check.name for check in CHECKS if not check.operator_only]
    monkeypatch.setattr(tenant_alerts, "report_evaluate", lambda _data: report_of(*every))

    rows = tenants_alerts_update(pool="testnet", now=T0)

    pool_wide = {"chain_stalled", "checks_late", "head_late", "nodes_unreadable", "f3_stalled", "recovery"}
    assert {row.body["check"] for row in rows} == {*every} - pool_wide


def test_alerts_of_tenants_and_of_the_pool_are_apart(hook: Hook) -> None:
    channel("pool", hook.url)
    own("alice", target=hook.url)

    alerts_run()
    alerts_run()

    debts = [body for body in hook.bodies if body["check"] == "fee_debt"]
    assert sorted(len(body["findings"]) for body in debts) == [1, 2]
    assert Alert.objects.filter(check_name="fee_debt").count() == 2


def test_one_tenants_broken_evaluation_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    own("alice")
    own("bob")
    found = tenant_alerts.tenant_report_read

    def broken_for_alice(tenant: Any) -> Any:
        if tenant.name == "alice":
            raise LookupError("alice")
        return found(tenant)

    monkeypatch.setattr(tenant_alerts, "tenant_report_read", broken_for_alice)

    assert told() == [("bob", "STARTED")]


def test_disabled_tenant_is_sent_nothing(hook: Hook) -> None:
    own("alice", target=hook.url)
    told()
    tenant_update(tenant=people.tenant("alice"), enabled=False)

    assert notifications_deliver(now=lambda: T0) == 0
    assert told(minute=1) == []
    assert not Alert.objects.filter(ended_at=None).exclude(tenant=None).exists()
    assert hook.bodies == []


def test_restart_while_a_notification_is_sent_doubles_nothing(hook: Hook) -> None:
    own("alice", target=hook.url)
    told()
    row = Notification.objects.get(alert__check_name="fee_debt")
    Notification.objects.exclude(pk=row.pk).delete()
    Notification.objects.update(next_try_at=T0 + CLAIM)  # as a process leaves it that dies while it sends

    assert notifications_deliver(now=lambda: T0 + CLAIM / 2) == 0
    assert notifications_deliver(now=lambda: T0 + CLAIM) == 1
    assert notifications_deliver(now=lambda: T0 + 2 * CLAIM) == 0
    assert told(minute=3) == []
    assert [body["id"] for body in hook.bodies] == [str(row.uuid)]


@pytest.mark.parametrize("perm", ["read", "write", "sign"])
def test_channels_are_managed_by_admins_of_the_tenant(perm: str) -> None:
    row = own("alice")

    for caller in (people.principal("alice", perm), people.principal("bob", "admin")):
        with pytest.raises(NotAllowed):
            own("alice", "other", principal=caller)
        with pytest.raises(NotAllowed):
            channel_set(principal=caller, channel=row, is_enabled=False)
        with pytest.raises(NotAllowed):
            channel_test(principal=caller, channel=row, now=T0)
        with pytest.raises(NotAllowed):
            channel_remove(principal=caller, channel=row)
    assert AlertChannel.objects.get().is_enabled


def test_a_token_for_some_miners_manages_no_channel() -> None:
    with pytest.raises(NotAllowed):
        own("alice", principal=people.principal("alice", "admin", miners=(2001,)))


def test_mail_of_a_tenant_tells_of_its_own_miners(settings: Any, mailoutbox: list[Any]) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    own("alice", target="ada@example.com", kind="EMAIL")
    told()

    notifications_deliver(now=lambda: T0)

    sent = [f"{mail.to} {mail.subject} {mail.body}" for mail in mailoutbox if "owes" in mail.body]
    assert len(sent) == 1
    assert "ada@example.com" in sent[0]
    assert "f02001" in sent[0]
    assert "f03001" not in sent[0]


def test_names_are_unique_for_each_tenant_and_channels_are_few() -> None:
    channel("ops")
    for tenant in ("alice", "bob"):
        own(tenant)
        with pytest.raises(Conflict) as refused:
            own(tenant)
        assert refused.value.field == "name"
    for number in range(CHANNELS_MAX - 1):
        own("alice", f"c{number}")
    with pytest.raises(Conflict, match="at most 10 channels"):
        own("alice", "one more")


def test_tenants_channel_is_tested_once_a_minute() -> None:
    row, caller = own("alice"), people.principal("alice", "admin")
    channel_test(principal=caller, channel=row, now=T0)

    with pytest.raises(Conflict, match="less than a minute ago"):
        channel_test(principal=caller, channel=row, now=T0 + MINUTE / 2)
    channel_test(principal=caller, channel=row, now=T0 + MINUTE)


@pytest.mark.parametrize("tenant", ["alice", ""])
def test_channel_that_is_off_takes_no_test(tenant: str) -> None:
    row = own(tenant) if tenant else channel("ops")
    channel_set(principal=SYSTEM, channel=row, is_enabled=False)

    with pytest.raises(Conflict, match="enable it first"):
        channel_test(principal=SYSTEM, channel=row, now=T0)
    assert not Notification.objects.exists()


def test_audit_names_the_tenant_and_no_url() -> None:
    caller = people.principal("alice", "admin")
    row = own("alice", principal=caller, secret="S1GN")
    channel_set(principal=caller, channel=row, is_enabled=False)
    channel_remove(principal=caller, channel=row)

    lines = AuditEntry.objects.filter(action__startswith="alerts.").order_by("pk")
    assert [(line.action, line.target) for line in lines] == [
        ("alerts.channel.add", "alice/ops"),
        ("alerts.channel.set", "alice/ops"),
        ("alerts.channel.remove", "alice/ops"),
    ]
    assert {line.tenant_id for line in lines} == {people.tenant("alice").pk}
    assert not any(word in repr(lines.values()) for word in ("T0PS3CRET", "chat.example", "S1GN"))
