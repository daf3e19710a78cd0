"""What the pool did for a tenant: each day is counted once, and no cause is invented."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.checks.models import ComponentDay, ServiceDay, TenantServiceDay
from apps.checks.selectors.service_levels import service_days_visible, service_months
from apps.checks.services import service_days
from apps.checks.services.service_days import SETTLED, service_day_count
from apps.core.clock import now
from apps.messages.models import Message, Tracker
from apps.miners.models import Miner, MinerTransfer
from apps.proving.models import WindowPost
from apps.users.rules.principals import SYSTEM
from tests import factories, people
from tests.components import incident
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
COUNTED_AT = datetime(2026, 11, 21, 13, tzinfo=UTC)
HEAD = 10_000
EPOCH_S = 30


@pytest.fixture
def miner() -> Miner:
    """A pool on a public network whose newest head is that of the moment at which the day is counted."""
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": EPOCH_S})
    factories.head(HEAD, timestamp=int(COUNTED_AT.timestamp()), arrived_at=COUNTED_AT)
    Tracker.objects.create(height=HEAD)
    for component in ("PROVING", "CONSOLE"):
        ComponentDay.objects.create(component=component, day=DAY, up_s=86_400)
    return factories.miner(2001)


def epoch(at: datetime) -> int:
    return HEAD + int((at - COUNTED_AT).total_seconds()) // EPOCH_S


def post(miner: Miner, state: str, *, closes: datetime = NOON, **facts: Any) -> WindowPost:
    close = epoch(closes)
    rows = WindowPost.objects.filter(miner=miner, open_epoch=close - 60).count()
    times = {"open_epoch": close - 60, "close_epoch": close, "challenge_epoch": close - 80}
    return WindowPost.objects.create(
        miner=miner, deadline_index=1, part=rows, state=state, randomness=b"", **times | facts
    )


def win(miner: Miner, number: int, state: str) -> Round:
    at = {"base_height": number, "epoch": number + 1, "at": NOON}
    return Round.objects.create(miner=miner, state=state, win_count=1, **at)


def message(pushed: datetime, *, seconds: int | None, of: str = "alice") -> None:
    row = factories.message(of=of, state="UNFILLED" if seconds is None else "LANDED")
    landed = None if seconds is None else pushed + timedelta(seconds=seconds)
    Message.objects.filter(pk=row.pk).update(created_at=pushed, landed_at=landed)


def counted() -> dict[str, int]:
    """What was counted for alice on the day; zeros are left out."""
    service_day_count(now=COUNTED_AT)
    row = TenantServiceDay.objects.get(day__day=DAY, tenant__name="alice")
    names = [field.name for field in TenantServiceDay._meta.fields if "_" in field.name]
    return {name: value for name in names if (value := getattr(row, name)) and name != "landing_times"}


def test_proofs_of_windows_that_closed_that_day_are_counted(miner: Miner) -> None:
    post(miner, "LANDED")
    post(miner, "LANDED", closes=NOON + timedelta(hours=2))
    post(miner, "LANDED", closes=NOON - timedelta(days=1))
    post(miner, "PROVING", closes=NOON + timedelta(days=1))

    assert counted() == {"posts_proven": 2}


def test_window_missed_without_a_proof_is_the_tenants(miner: Miner) -> None:
    post(miner, "MISSED")

    assert counted() == {"posts_missed_tenant": 1}


def test_window_missed_while_the_pool_was_down_is_the_pools(miner: Miner) -> None:
    post(miner, "MISSED")
    incident(component="PROVING", since=NOON - timedelta(minutes=20), ended_at=NOON + timedelta(minutes=1))

    assert counted() == {"posts_missed_pool": 1}


@pytest.mark.parametrize(
    "why", ["proof was there", "pool was down for a moment", "no record", "restored", "degraded"]
)
def test_window_whose_cause_nobody_knows_is_unknown(miner: Miner, why: str) -> None:
    post(miner, "MISSED", proof=b"proof" if why == "proof was there" else None)
    begins, ends = NOON - timedelta(minutes=5), NOON - timedelta(minutes=4)
    if why == "pool was down for a moment":
        incident(component="CONSOLE", since=begins, ended_at=ends)
    if why == "degraded":
        incident(component="PROVING", condition="DEGRADED", since=NOON - timedelta(hours=1), ended_at=NOON)
    if why == "no record":
        ComponentDay.objects.all().delete()
    if why == "restored":
        ComponentDay.objects.filter(component="PROVING").update(unknown_s=3600)

    assert counted() == {"posts_missed_unknown": 1}


def test_two_outages_of_one_time_count_once(miner: Miner) -> None:
    post(miner, "MISSED")
    for component in ("PROVING", "CONSOLE"):
        times = {"since": NOON - timedelta(minutes=12), "ended_at": NOON}
        incident(component=component, **times)

    assert counted() == {"posts_missed_unknown": 1}


def test_wins_are_counted_by_what_became_of_them(miner: Miner) -> None:
    states = ("INCLUDED", "INCLUDED", "ORPHANED", "NODE_AWAY", "SIGNER_AWAY", "PROOF_TIMEOUT", "LATE")
    for number, state in enumerate(states):
        win(miner, number, state)

    assert counted() == {
        "wins_published": 2,
        "wins_lost_pool": 1,
        "wins_lost_tenant": 2,
        "wins_lost_unknown": 2,
    }


def test_every_outcome_of_a_win_has_a_column() -> None:
    columns = {service_days._win_column(state) for state in RoundState.values}

    assert columns == {"wins_published", "wins_lost_pool", "wins_lost_tenant", "wins_lost_unknown"}


def test_messages_count_on_the_day_they_were_pushed(miner: Miner) -> None:
    for _ in range(18):
        message(NOON, seconds=40)
    message(NOON, seconds=100)
    message(NOON, seconds=4000)
    message(NOON, seconds=None)
    message(NOON - timedelta(days=1), seconds=10)
    message(NOON, seconds=10, of="bob")

    assert counted() == {"messages_pushed": 21, "messages_landed": 20}
    (month,) = service_months(TenantServiceDay.objects.filter(tenant__name="alice"))
    assert month.landing_s == 120, "19 of 20"


def test_day_is_counted_once_it_is_settled_and_never_again(miner: Miner) -> None:
    end = datetime(2026, 11, 21, tzinfo=UTC)
    post(miner, "LANDED")
    service_day_count(now=end + SETTLED - timedelta(seconds=1))
    before = set(ServiceDay.objects.values_list("day", flat=True))
    service_day_count(now=end + SETTLED)
    post(miner, "LANDED")
    service_day_count(now=end + SETTLED + timedelta(hours=1))

    assert DAY not in before
    assert TenantServiceDay.objects.get(day__day=DAY).posts_proven == 1


def test_day_waits_until_the_chain_is_read_beyond_it(miner: Miner) -> None:
    Tracker.objects.update(height=epoch(NOON))
    service_day_count(now=COUNTED_AT)
    assert not ServiceDay.objects.exists()

    Tracker.objects.update(height=HEAD)
    sent = post(miner, "SENT")
    service_day_count(now=COUNTED_AT)
    assert not ServiceDay.objects.exists()

    WindowPost.objects.filter(pk=sent.pk).update(state="LANDED")
    assert counted() == {"posts_proven": 1}


def test_pool_that_begins_with_an_old_head_waits_for_newer_ones(miner: Miner) -> None:
    later = COUNTED_AT + timedelta(days=2)
    ServiceDay.objects.create(day=DAY, end_epoch=epoch(NOON) + 1440)
    service_day_count(now=later)
    assert ServiceDay.objects.count() == 1

    factories.head(HEAD + 5760, timestamp=int(later.timestamp()), arrived_at=later)
    Tracker.objects.update(height=HEAD + 5760)
    service_day_count(now=later)
    assert ServiceDay.objects.get(day=DAY + timedelta(days=1)).end_epoch == HEAD + 11 * 120


def test_proof_that_nothing_moves_holds_a_day_up_for_days_only(miner: Miner) -> None:
    post(miner, "SENT")
    ServiceDay.objects.create(day=DAY - timedelta(days=1), end_epoch=epoch(NOON) - 1440)
    Tracker.objects.update(height=HEAD + 10**6)
    service_day_count(now=COUNTED_AT + timedelta(days=2))
    assert not ServiceDay.objects.filter(day=DAY).exists()

    service_day_count(now=COUNTED_AT + timedelta(days=3))
    assert ServiceDay.objects.filter(day=DAY).exists()


def test_days_are_contiguous_though_the_chains_clock_moves(miner: Miner) -> None:
    ServiceDay.objects.create(day=DAY - timedelta(days=1), end_epoch=epoch(NOON) - 10)
    post(miner, "LANDED", closes=NOON - timedelta(minutes=6))
    post(miner, "LANDED", closes=NOON)

    assert counted() == {"posts_proven": 1}


def test_pool_that_was_stopped_for_days_counts_each(miner: Miner) -> None:
    ServiceDay.objects.create(day=DAY - timedelta(days=3), end_epoch=epoch(NOON - timedelta(days=3)))
    for _ in range(5):
        service_day_count(now=COUNTED_AT)

    assert ServiceDay.objects.count() == 4


def test_killed_count_of_a_day_leaves_nothing(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    post(miner, "LANDED")

    def killed(*_args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(service_days, "_wins_count", killed)
        with pytest.raises(KeyboardInterrupt):
            service_day_count(now=COUNTED_AT)
    assert not ServiceDay.objects.exists()
    assert counted() == {"posts_proven": 1}


def test_days_of_a_clock_that_was_ahead_are_counted_anew(miner: Miner) -> None:
    ServiceDay.objects.create(day=DAY + timedelta(days=30), end_epoch=10**6)
    post(miner, "LANDED")

    assert counted() == {"posts_proven": 1}


def test_day_counts_for_who_had_the_miner_as_it_began(miner: Miner) -> None:
    post(miner, "LANDED")
    bob = people.tenant("bob")
    MinerTransfer.objects.create(miner=miner, from_tenant=miner.tenant, to_tenant=bob, actor="olga", at=NOON)
    miner.tenant = bob
    miner.save(update_fields=["tenant"])

    assert counted() == {"posts_proven": 1}


def test_pool_without_a_chain_counts_nothing() -> None:
    service_day_count(now=now())

    assert not ServiceDay.objects.exists()


def test_tenant_sees_its_own_months_and_no_others(miner: Miner, client: Client) -> None:
    people.person()
    people.operator_person()
    post(miner, "MISSED")
    post(factories.miner(3001, of="bob"), "LANDED")
    counted()
    alice, bob = people.tenant("alice"), people.tenant("bob")

    page = text_of(signed_in().get(reverse("tenant-service", args=[alice.uuid])))
    assert "0 of 1" in page
    assert [cause in page for cause in ("pool 0", "tenant 1", "unknown 0")] == [True] * 3
    assert "100 %" in page
    assert signed_in().get(reverse("tenant-service", args=[bob.uuid])).status_code == 404
    assert signed_in().get(reverse("tenant-service-csv", args=[bob.uuid])).status_code == 404
    lines = text_of(signed_in("olga").get(reverse("tenant-service-csv", args=[bob.uuid]))).splitlines()
    assert lines[1].startswith("bob,2026-11,2026-11-20,1,0,0,0,")
    headers = people.bearer(people.token("read", of="alice"))
    (month,) = client.get("/api/v1/service-levels", headers=headers).json()
    assert (month["tenant"], month["posts_missed_tenant"], month["console_percent_up"]) == ("alice", 1, 100.0)
    assert client.get("/api/v1/service-levels?tenant=bob", headers=headers).status_code == 404


def test_token_for_some_miners_sees_no_sums_of_its_tenant(miner: Miner) -> None:
    post(miner, "LANDED")
    counted()
    own = people.principal(miners=(2001,))

    assert service_days_visible(SYSTEM).exists()
    assert not service_days_visible(own).exists()
