"""A month of every kind of message: *Money*, *Gas* and *Senders* have the same sums, to the attoFIL."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.test import Client
from django.urls import reverse

from apps.blocks.models import Charge
from apps.blocks.selectors.accounts import accounts_read
from apps.blocks.states import ChargeKind
from apps.core.clock import now
from apps.core.day_ranges import last_days, month_before, month_days
from apps.core.formatting import amount_text
from apps.dashboard.pages.gas.spending import spend_total
from apps.dashboard.pages.money.course import money_charts
from apps.messages.models import Message, Receiver
from apps.messages.selectors.spend import spend_summed
from apps.messages.services.archive import messages_archive
from apps.messages.services.spend import ADDED, spend_record
from apps.messages.states import MessageState
from apps.miners.models import Miner, MinerTransfer, RewardEstimate
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.address import POWER_ACTOR
from poolsite.filecoin.amounts import FIL
from poolsite.wire.pipeline import SectorState
from tests import factories, people
from tests.archived import archive_undone, places
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db(transaction=True)

MULTISIG = "f03030"
MONTH = month_before(now().date())
ALICE, CONTROL, BOB, POOL = factories.bls(1), factories.secp(2), factories.bls(3), factories.bls(4)


@pytest.fixture(autouse=True)
def _archive(transactional_db: None) -> Iterator[None]:
    with archive_undone():
        yield


def landed(of: str, sender: str, day: int, cost: int, **row: Any) -> Message:
    """A message that landed on a day of the last month."""
    made = factories.message(
        of=of, state=MessageState.LANDED, from_addr=sender, gas_cost=cost, height=1000 + day, **row
    )
    at = datetime(MONTH.year, MONTH.month, day, 12, tzinfo=UTC)
    Message.objects.filter(pk=made.pk).update(created_at=at, landed_at=at)
    return made


@pytest.fixture
def month() -> Miner:
    """Alice's miner and bob's, and the messages of a month, of which half is archived."""
    factories.head(5000)
    for address, of in ((ALICE, "alice"), (CONTROL, "alice"), (BOB, "bob"), (POOL, "pool")):
        factories.wallet(address, of=of)
        factories.sender(address)
    Receiver.objects.create(address=MULTISIG, kind="multisig", code=factories.cid("multisig"))
    first = datetime(MONTH.year, MONTH.month, 1, tzinfo=UTC)
    miners = [
        factories.miner(2001 + at, of=of, name=f"{of}-main", balance=90 * FIL, refreshed_height=5000)
        for at, of in enumerate(("alice", "bob"))
    ]
    for miner in miners:
        for day in range(3):
            factories.miner_day(
                miner, began_at=first + timedelta(days=3 + day), height=1000 + day, balance=100 * FIL
            )
    rows = []
    for day in range(1, 29):
        rows += [
            landed("alice", ALICE, day, 10**15 + day, to="f02001", method=5, kind="window_post"),
            landed("alice", CONTROL, day, 7 * 10**14 + 3 * day, to=factories.secp(9), method=0, value=day),
            landed("bob", BOB, day, 3 * 10**15 + 7 * day, to="f02002", method=5, kind="window_post"),
        ]
    rows += [
        landed("alice", ALICE, 2, 11, to=str(POWER_ACTOR), method=2, kind="create_miner"),
        landed("alice", ALICE, 6, 13, to="f02001", method=16, kind="withdrawal"),
        landed("alice", ALICE, 7, 17, to=MULTISIG, method=2, kind="multisig"),
        landed("alice", CONTROL, 8, 19, to="f02001", method=28, exit_code=16),
        landed("alice", ALICE, 9, 23, to="f09999", method=5, kind="window_post"),
        landed("pool", POOL, 9, 29, to=factories.bls(8), method=0),
        landed("pool", POOL, 10, 31, to="f02001", method=0),
    ]
    spend_record([row.pk for row in rows], sign=ADDED)
    other = landed("alice", ALICE, 11, 0, to="f02001", method=5)
    Message.objects.filter(pk=other.pk).update(state=MessageState.REPLACED)
    factories.message(of="alice", state=MessageState.FAILED, from_addr=ALICE, to="f02001", gas_cost=0)
    factories.message(of="alice", state=MessageState.FILLED, from_addr=ALICE, to="f02001")
    messages_archive(until=datetime(MONTH.year, MONTH.month, 15, tzinfo=UTC))
    assert set(places()) == {"messages_archive", "messages_message"}
    people.person("ann")
    people.person("bill", of="bob")
    people.operator_person()
    return miners[0]


def chain_sum(**of: Any) -> int:
    """What the gas of landed messages cost, wherever their rows lie."""
    rows = Message.objects.filter(state=MessageState.LANDED, **of)
    return int(rows.aggregate(sum=Sum("gas_cost"))["sum"] or 0)


def cell(page: str, row: str, label: str) -> str:
    """The text of a cell of the row with an id."""
    part = page[page.index(f'id="{row}"') :].partition("</tr>")[0]
    return part[part.index(f'data-label="{label}"') :].partition(">")[2].partition("</td>")[0].strip()


@pytest.mark.parametrize("who", ["operator", "alice", "bob"])
def test_money_gas_and_senders_have_the_same_sum(month: Miner, who: str) -> None:
    viewer = SYSTEM if who == "operator" else people.principal(who)
    wanted = chain_sum() if who == "operator" else chain_sum(tenant__name=who)
    days = month_days(MONTH)

    accounts = accounts_read(viewer, days)
    of_miners = sum(one.gas for one in accounts.by_miner.values())

    assert accounts.total.gas == wanted
    assert of_miners + accounts.elsewhere == wanted
    for by in ("method", "sender", "day"):
        rows = spend_summed(viewer, by=by, days=days)
        assert sum(one.cost for one in rows) == wanted, by
        total = spend_total([{"sum": one} for one in rows])
        assert (rows[0] if total is None else total).cost == wanted


def test_what_is_not_of_a_miner_is_named_beside_the_miners(month: Miner) -> None:
    accounts = accounts_read(people.principal("alice"), month_days(MONTH))
    sends = sum(7 * 10**14 + 3 * day for day in range(1, 29))

    assert accounts.elsewhere == sends + 11 + 17 + 23, "transfers, a creation, a multisig, a miner elsewhere"
    assert accounts.by_miner[month.pk].gas == sum(10**15 + day for day in range(1, 29)) + 13 + 19
    assert list(accounts.tenants.values()) == ["alice"]


def test_the_three_pages_say_the_same(month: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    client, query = signed_in("olga"), {"month": f"{MONTH:%Y-%m}"}
    money = text_of(client.get(reverse("money"), query))
    gas = text_of(client.get(reverse("gas"), {**query, "by": "sender"}))
    by_tenant = csv.DictReader(io.StringIO(text_of(client.get(reverse("gas-csv"), query))))
    rest = Client().get("/api/v1/money/sums", query, headers=people.bearer(people.operator_token())).json()

    whole = chain_sum()
    assert sum(int(row["cost_atto"]) for row in by_tenant) == whole
    days = list(csv.DictReader(io.StringIO(text_of(client.get(reverse("money-csv"), query)))))
    assert sum(int(row["gas_atto"]) for row in days) == whole
    assert sum(int(row["net_atto"]) for row in days) == accounts_read(SYSTEM, month_days(MONTH)).total.net
    assert int(rest["total"]["gas"]) == whole
    assert sum(int(row["gas"]) for row in rest["tenants"]) == whole
    assert sum(int(row["gas"]) for row in rest["miners"]) + int(rest["not_of_a_miner"]) == whole
    assert [row["tenant"] for row in rest["tenants"]] == ["alice", "bob", "pool"]
    from_page = cell(money, "f-money-of-all", "Gas")
    assert from_page == cell(money, "f-money-all", "Gas")
    assert f"<strong>{from_page}</strong>" in gas, "the last row of Gas"
    assert "Not of a miner" in money


def test_senders_have_the_sum_of_their_week(month: Miner) -> None:
    for days_ago, sender, of in (
        (0, ALICE, "alice"),
        (6, CONTROL, "alice"),
        (7, ALICE, "alice"),
        (3, BOB, "bob"),
    ):
        # A method that no message of the last month has: its end may be in this week.
        factories.spend(sender, of=of, days_ago=days_ago, cost=10**15 + days_ago, method=23)
    for name, viewer in (("olga", SYSTEM), ("ann", people.principal("alice"))):
        answer = signed_in(name).get(reverse("senders-csv"))
        senders = csv.DictReader(io.StringIO(text_of(answer)))
        week = last_days(7, now=now())
        wanted = sum(one.cost for one in spend_summed(viewer, by="day", days=week))

        assert sum(int(row["gas_7_days_atto"]) for row in senders) == wanted > 0
        assert accounts_read(viewer, week).total.gas == wanted


def test_tenants_are_charged_what_the_pool_gets(month: Miner) -> None:
    Charge.objects.create(
        tenant=month.tenant, kind=ChargeKind.POWER, day=MONTH, miner=month, miner_address="f02001", amount=FIL
    )
    accounts = accounts_read(SYSTEM, month_days(MONTH))
    alice = accounts.by_tenant[month.tenant_id]

    assert (alice.charge, accounts.total.charge) == (FIL, 0)
    assert accounts.by_tenant[None].charge == -FIL
    assert alice.net == alice.reward - alice.penalty - alice.gas - alice.fees - FIL
    assert sum(alice.net_by_day.values()) == alice.net
    own = accounts_read(people.principal("alice"), month_days(MONTH))
    assert (own.total.net, own.total.charge) == (alice.net, FIL)
    total = own.total
    charts = money_charts(own.by_miner.values(), more_gas=own.gas_elsewhere, net_by_day=total.net_by_day)
    assert charts[-1].rows[-1][1] == (("Net", amount_text(total.net)),), "the chart ends at the tile's net"
    text = text_of(signed_in("ann").get(reverse("money"), {"month": f"{MONTH:%Y-%m}"}))
    assert "f-stat-money-charge" in text
    assert "bob" not in text


def test_a_miner_that_was_transferred_counts_for_whoever_had_it(month: Miner) -> None:
    at = datetime(MONTH.year, MONTH.month, 5, 9, tzinfo=UTC)
    bob = people.tenant("bob")
    MinerTransfer.objects.create(miner=month, from_tenant=month.tenant, to_tenant=bob, actor="olga", at=at)
    alice = month.tenant
    Miner.objects.filter(pk=month.pk).update(tenant=bob)

    whole = accounts_read(SYSTEM, month_days(MONTH))
    hers, his = (accounts_read(SYSTEM, month_days(MONTH), tenant=one) for one in (alice, bob))

    assert [line.day.day for line in hers.by_miner[month.pk].lines] == [5, 4]
    assert [line.day.day for line in his.by_miner[month.pk].lines] == [6]
    for one, tenant in ((hers, alice), (his, bob)):
        assert one.total.net == whole.by_tenant[tenant.pk].net
    client = signed_in("ann")
    page = text_of(client.get(reverse("money"), {"month": f"{MONTH:%Y-%m}"}))
    assert "f02001" in page
    assert reverse("miner-money", args=["f02001"]) not in page, "it is not hers to open any more"
    assert "alice-main" not in page


def test_live_sectors_are_owed_for_by_whoever_has_the_miner_now(month: Miner) -> None:
    estimates = ("reward_position", "reward_velocity", "power_position", "power_velocity")
    RewardEstimate.objects.create(pk=1, height=5000, **dict.fromkeys(estimates, 1 << 130))
    factories.sector(
        month, state=SectorState.PROVING, activation=4000, expiration=5000 + 2880, initial_pledge=FIL
    )
    at = datetime(MONTH.year, MONTH.month, 5, 9, tzinfo=UTC)
    bob = people.tenant("bob")
    MinerTransfer.objects.create(miner=month, from_tenant=month.tenant, to_tenant=bob, actor="olga", at=at)
    Miner.objects.filter(pk=month.pk).update(tenant=bob)

    def live(of: str, **query: str) -> int:
        headers = people.bearer(people.token("read", of=of))
        answer = Client().get("/api/v1/money/sums", query, headers=headers)
        return int(answer.json()["live_sectors"]["sectors"])

    assert live("alice", month=f"{MONTH:%Y-%m}") == 0, "bob owes it"
    assert live("bob", month=f"{MONTH:%Y-%m}") == 1
    assert live("bob", until="2020-01-31", since="2020-01-01") == 1, "now, whatever days are shown"
    page = text_of(signed_in("ann").get(reverse("money"), {"month": f"{MONTH:%Y-%m}"}))
    assert "for 0 sectors" in page


def test_the_scope_stands_in_the_address(month: Miner) -> None:
    client = signed_in("olga")
    query = {"month": f"{MONTH:%Y-%m}", "tenant": "bob"}
    page = text_of(client.get(reverse("money"), query))

    assert "Money of bob" in page
    assert "f02002" in page
    assert "alice-main" not in page
    assert f"tenant=bob&amp;month={MONTH:%Y-%m}" in page
    led = client.get(reverse("money"), {"miner": "f02001", "month": query["month"]})
    assert led["Location"] == f"{reverse('miner-money', args=['f02001'])}?month={query['month']}&miner=f02001"
    for name in ("nobody", "alice"):
        assert signed_in("bill").get(reverse("money"), {"tenant": name}).status_code == 404
    headers = people.bearer(people.token("read", of="bob"))
    assert Client().get("/api/v1/money/sums", {"tenant": "alice"}, headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"month": "2026-13"}, "month"),
        ({"month": "2026-10", "days": "3"}, "month"),
        ({"since": "2026-02-30"}, "since"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, "since"),
        ({"until": "2026-03-01", "days": "3"}, "days"),
    ],
)
def test_days_that_are_none_are_refused_by_name(month: Miner, query: dict[str, str], field: str) -> None:
    for route in ("money", "money/sums", "gas/spend", "miners/f02001/money"):
        answer = Client().get(f"/api/v1/{route}", query, headers=people.bearer(people.token("read")))
        assert (answer.status_code, answer.json()["field"]) == (400, field), route
