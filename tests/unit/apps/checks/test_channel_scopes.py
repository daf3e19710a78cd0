"""Channels that are told of a part alone, and later: of tenants, miners, checks, what nobody acknowledged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.services import tenant_alerts
from apps.checks.services.acknowledgements import alert_acknowledge, alert_acknowledgement_end
from apps.checks.services.alerts import alert_ends_write
from apps.checks.services.channel_choices import scope_write
from apps.checks.services.channels import channel_change
from apps.checks.services.check_settings import check_mute_set
from apps.checks.services.tenant_alerts import tenants_alerts_update
from apps.core.errors import BadValue
from apps.dashboard.pages.alerts.page import scope_text
from apps.miners.models import Miner
from apps.users.models import AuditEntry, Tenant
from apps.users.rules.principals import SYSTEM
from apps.users.services.tenants import tenant_delete
from tests import factories, people
from tests.alerts import HOUR, T0, channel, told

MINUTE = timedelta(minutes=1)
pytestmark = pytest.mark.django_db


@pytest.fixture
def in_debt(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tenants, of whom one has two miners, which owe fees."""
    settings.ALERT_URLS_PRIVATE = True
    monkeypatch.setattr(tenant_alerts, "NOTIFIED_S", 600.0)
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    for number, of in ((2001, "alice"), (2002, "alice"), (3001, "bob")):
        factories.miner(number, of=of, fee_debt=10**18)


def said(minute: int = 0) -> list[tuple[str, str, str]]:
    """Evaluate the tenants' checks; which channel is told what of their debts."""
    rows = tenants_alerts_update(pool="testnet", now=T0 + minute * MINUTE)
    return sorted(
        (row.channel.name, str(row.event), row.text.partition(": ")[2])
        for row in rows
        if row.body["check"] == "fee_debt"
    )


def paid(*numbers: int) -> None:
    Miner.objects.filter(actor_id__in=numbers).update(fee_debt=0)


@pytest.mark.usefixtures("in_debt")
def test_a_channel_of_tenants_is_told_of_these_by_name_and_of_no_other() -> None:
    channel("of bob", only_tenants=["bob"])

    assert told(T0, "fee_debt", "chain_stalled") == [], "nothing of the whole pool"
    [(name, event, text)] = said()
    assert (name, event) == ("of bob", "STARTED")
    assert text.startswith("bob: ")
    assert "f03001" in text
    assert not any(word in repr(Notification.objects.get().body) for word in ("f02001", "alice"))
    paid(3001)
    assert [row[:2] for row in said(15)] == [("of bob", "ENDED")]
    assert said(30) == []


@pytest.mark.usefixtures("in_debt")
def test_a_channel_of_a_miner_hears_of_it_alone_and_of_its_end() -> None:
    channel("own", tenant=people.tenant("alice"), only_miners=["f02001"], repeat_s=900)
    channel("operator", only_miners=["f02001", "f03001"], repeat_s=900)

    first = said()
    assert [row[:2] for row in first] == [("operator", "STARTED")] * 2 + [("own", "STARTED")]
    assert not any("f02002" in row[2] for row in first)
    assert said(1) == []
    paid(2001)
    ended = said(2)
    assert [row[:2] for row in ended] == [("operator", "ENDED"), ("own", "ENDED")]
    assert all("f02001" in row[2] and "f02002" not in row[2] for row in ended)
    assert Alert.objects.get(tenant=people.tenant("alice"), check_name="fee_debt").ended_at is None
    assert said(3) == []
    Miner.objects.filter(actor_id=2001).update(fee_debt=10**18)
    assert [row[:2] for row in said(20)] == [
        ("operator", "REPEATED"),
        ("operator", "STARTED"),
        ("own", "STARTED"),
    ]


@pytest.mark.usefixtures("in_debt")
def test_what_people_do_is_told_with_the_tenant_and_of_its_miners_alone() -> None:
    channel("own", tenant=people.tenant("alice"), only_miners=["f02001"], with_actions=True)
    channel("operator", only_tenants=["alice"], with_actions=True)
    said()
    alert_acknowledge(principal=SYSTEM, uuid=Alert.objects.get(tenant__name="alice").uuid, hours=1, now=T0)

    texts = dict(Notification.objects.filter(event="ACKNOWLEDGED").values_list("channel__name", "text"))
    assert "f02001" in texts["own"]
    assert "f02002" not in texts["own"]
    assert ": alice: " in texts["operator"]


@pytest.mark.usefixtures("in_debt")
def test_the_operators_mute_keeps_its_channel_of_a_tenant_quiet() -> None:
    channel("of bob", only_tenants=["bob"])
    channel("own", tenant=people.tenant("bob"))
    check_mute_set(principal=SYSTEM, name="fee_debt", hours=1, reason="known", now=T0)

    assert [row[:2] for row in said()] == [("own", "STARTED")]
    assert [row[:2] for row in said(61)] == [("of bob", "STARTED"), ("own", "REPEATED")]


@pytest.mark.usefixtures("in_debt")
def test_the_end_reaches_a_channel_that_left_or_whose_tenant_is_off() -> None:
    people.person("ann")
    left, rest = channel("left", only_tenants=["alice"]), channel("rest", only_tenants=["bob"])
    assert [row[:2] for row in said()] == [("left", "STARTED"), ("rest", "STARTED")]
    channel_change(principal=SYSTEM, channel=left, only_tenants=["bob"])
    assert [row[:2] for row in said(1)] == [("left", "STARTED")], "of bob; alice's still fails"

    Tenant.objects.filter(name="bob").update(enabled=False)
    paid(2001, 2002)
    ended = said(2)

    assert [row[:2] for row in ended] == [("left", "ENDED"), ("left", "ENDED"), ("rest", "ENDED")]
    texts = set(Notification.objects.filter(event="ENDED").values_list("text", flat=True))
    assert {text.partition(": ")[0] for text in texts if "alice: " in text} == {"[testnet] Resolved"}
    assert {text.partition(": ")[0] for text in texts if "bob: " in text} == {"[testnet] No longer checked"}
    assert said(3) == []
    assert rest.notifications.count() == 2


def test_the_end_of_a_pools_alert_reaches_a_channel_that_was_narrowed() -> None:
    people.tenant("bob")
    row = channel("ops")
    told(T0, "fee_debt")
    channel_change(principal=SYSTEM, channel=row, only_tenants=["bob"])

    assert told(T0 + MINUTE) == []
    rows = alert_ends_write(pool="testnet", watched=[], now=T0 + MINUTE)
    assert [(one.channel.name, one.text) for one in rows] == [
        ("ops", "[testnet] Resolved: fee_debt is wrong")
    ]
    assert alert_ends_write(pool="testnet", watched=[], now=T0 + 2 * MINUTE) == []


def test_a_channel_of_deleted_tenants_is_told_of_nothing_when_edited() -> None:
    row = channel("of bob", only_tenants=[people.tenant("bob").name])
    factories.miner(3001, of="alice")
    miner = channel("of a miner", only_miners=["f03001"])
    tenant_delete(tenant=people.tenant("bob"))
    Miner.objects.all().delete()

    chosen = scope_write(row)
    assert chosen["only_tenants"] == ["bob"], "empty would say: of the whole pool"
    channel_change(principal=SYSTEM, channel=row, repeat_s=900, **chosen)
    channel_change(principal=SYSTEM, channel=row, repeat_s=21600)
    channel_change(principal=SYSTEM, channel=miner, wait_min=5)

    row.refresh_from_db()
    assert row.only_tenants == [people.tenant("bob").pk]
    assert "of no tenant" in scope_text(row)
    assert told(T0, "fee_debt", "chain_stalled") == []
    with pytest.raises(BadValue, match="there is no tenant bob"):
        channel("other", only_tenants=["bob"])


def test_a_channel_of_checks_is_told_of_these() -> None:
    channel("debt", only_checks=["fee_debt"])

    assert told(T0, "fee_debt", "windows_missed") == [("debt", "STARTED", "fee_debt")]
    assert told(T0 + HOUR / 2, "windows_missed") == [("debt", "ENDED", "fee_debt")]


def test_the_next_channel_is_told_of_what_nobody_has_acknowledged() -> None:
    channel("first")
    channel("next", wait_min=15)
    told(T0, "fee_debt")

    assert told(T0 + 14 * MINUTE, "fee_debt") == []
    assert told(T0 + 15 * MINUTE, "fee_debt") == [("next", "STARTED", "fee_debt")]
    text = Notification.objects.get(channel__name="next").text
    assert text.endswith("(nobody has acknowledged it for 15 minutes)")
    assert told(T0 + 16 * MINUTE, "fee_debt") == []
    assert sorted(told(T0 + 17 * MINUTE)) == [("first", "ENDED", "fee_debt"), ("next", "ENDED", "fee_debt")]


def test_an_acknowledgement_that_ended_escalates_after_the_whole_wait() -> None:
    channel("next", wait_min=15)
    told(T0, "fee_debt")
    row = Alert.objects.get()
    alert_acknowledge(principal=SYSTEM, uuid=row.uuid, hours=4, now=T0 + 10 * MINUTE)

    assert told(T0 + 60 * MINUTE, "fee_debt") == []
    alert_acknowledgement_end(principal=SYSTEM, uuid=row.uuid, now=T0 + 61 * MINUTE)
    assert told(T0 + 75 * MINUTE, "fee_debt") == []
    assert told(T0 + 76 * MINUTE, "fee_debt") == [("next", "STARTED", "fee_debt")]


def test_what_passes_before_never_reaches_the_next_channel() -> None:
    channel("next", wait_min=15)
    told(T0, "fee_debt")

    assert told(T0 + 14 * MINUTE) == []
    assert told(T0 + 30 * MINUTE) == []


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("only_tenants", ["nobody"], "there is no tenant nobody"),
        ("only_miners", ["f09999"], "there is no miner f09999"),
        ("only_miners", ["f0abc"], "."),
        ("only_checks", ["fee_dept"], "there is no check fee_dept"),
        ("wait_min", 7, "choose one of the intervals"),
        ("quiet_from", "22:00", "enter both times, or none"),
        ("quiet_zone", "Atlantis", "enter a zone"),
    ],
)
def test_refusals_name_the_field_and_change_nothing(field: str, value: Any, reason: str) -> None:
    row = channel("ops", only_checks=["fee_debt"])
    blamed = "quiet_to" if field == "quiet_from" else field

    for act in (
        lambda: channel("other", **{field: value}),
        lambda: channel_change(principal=SYSTEM, channel=row, **{field: value}),
    ):
        with pytest.raises(BadValue, match=reason) as refused:
            act()
        assert refused.value.field == blamed
    assert AlertChannel.objects.get().only_checks == ["fee_debt"]


def test_a_tenants_channel_names_neither_tenants_nor_what_is_no_tenants() -> None:
    alice = people.tenant("alice")
    factories.miner(3001, of="bob")
    refusals: tuple[dict[str, Any], ...] = (
        {"only_tenants": ["alice"]},
        {"only_miners": ["f03001"]},
        {"only_checks": ["chain_stalled"]},
    )
    for given in refusals:
        with pytest.raises(BadValue) as refused:
            channel("ops", tenant=alice, **given)
        assert refused.value.field == next(iter(given))
    assert not AlertChannel.objects.exists()


def test_a_change_keeps_the_rest_and_is_audited_by_names() -> None:
    people.tenant("bob")
    row = channel("ops", only_tenants=["bob"], wait_min=15)

    channel_change(principal=SYSTEM, channel=row, quiet_from="22:00", quiet_to="07:00", quiet_zone="shanghai")

    row.refresh_from_db()
    assert (row.wait_min, row.quiet_from, row.quiet_zone) == (15, "22:00", "Asia/Shanghai")
    made, changed = AuditEntry.objects.order_by("pk")
    assert made.after is not None
    assert (made.after["only_tenants"], made.after["wait_min"]) == ("bob", "15 min")
    assert (changed.before, changed.after) == (
        {"quiet_hours": "none"},
        {"quiet_hours": "22:00-07:00 Asia/Shanghai"},
    )
