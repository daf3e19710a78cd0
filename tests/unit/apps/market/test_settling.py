"""Settling: which deals are due, when it is worth its fee, and that nothing is sent or counted twice."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.chain.models import Head
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.errors import Conflict
from apps.core.formatting import whole
from apps.core.reasons import code_of
from apps.market.models import Deal, DealSettlement, Settlement, SettlementCheck
from apps.market.rules import CONFIRM_EPOCHS
from apps.market.selectors.earnings import Payments, deal_payments, payments_of
from apps.market.selectors.settlements import day_epochs_read, deals_owing, markets_owed
from apps.market.services.markets import market_set
from apps.market.services.settling import KIND, LOOK_EPOCHS, deals_settle_now, settlements_advance
from apps.market.services.transfers import deal_move
from apps.market.states import DealDoor
from apps.messages.models import Message, Receiver
from apps.miners.models import Miner
from apps.users.models import AuditEntry
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.market import Method
from poolsite.filecoin.actors.market_deals import (
    DealSettlement as Settled,
)
from poolsite.filecoin.actors.market_deals import (
    SettleDealPaymentsParams,
    SettleDealPaymentsReturn,
)
from poolsite.filecoin.address import MARKET_ACTOR
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.message import Message as ChainMessage
from tests import factories, people
from tests.killed_writes import killed_until_done
from tests.mk20 import sized
from tests.page_client import signed_in, text_of
from tests.query_plans import plan_run, rows_read

pytestmark = pytest.mark.django_db

PRICE = 10**13
HEIGHT = 500_000
GAS = 4_000_000


class Chain:
    """A node: up to where it has paid deals by their numbers, and their terms; what settling would do."""

    def __init__(self) -> None:
        self.paid: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self.spoils: set[int] = set()
        self.gas = GAS
        self.trials: list[list[int]] = []

    def outcome(self, numbers: list[int], height: int) -> bytes:
        """Return the actor's answer, were these settled at a height."""
        failed = [FailCode(at, 32) for at, number in enumerate(numbers) if number not in self.paid]
        good = [
            Settled(
                PRICE * max(min(height, self.ends[number]) - self.paid[number], 0),
                height >= self.ends[number],
            )
            for number in numbers
            if number in self.paid
        ]
        return to_cbor(SettleDealPaymentsReturn(BatchReturn(len(good), tuple(failed)), tuple(good)))

    def state_call(self, message: ChainMessage, key: str) -> dict[str, Any]:
        method = int(Method.SETTLE_DEAL_PAYMENTS_EXPORTED)
        assert (message.to, message.method, key) == (MARKET_ACTOR, method, current().key)
        numbers = list(from_cbor(SettleDealPaymentsParams, message.params).deal_ids)
        self.trials.append(numbers)
        if self.spoils & set(numbers):
            return {"MsgRct": {"ExitCode": 16}}
        returned = base64.b64encode(self.outcome(numbers, current().height)).decode()
        return {"MsgRct": {"ExitCode": 0, "Return": returned, "GasUsed": self.gas * len(numbers)}}

    def call_many(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        assert {method for method, _ in calls} == {"StateMarketStorageDeal"}
        return [{"State": {"LastUpdatedEpoch": self.paid[params[0]]}} for _, params in calls]

    def land(self, message: Message, height: int) -> None:
        """Carry a message out."""
        numbers = list(from_cbor(SettleDealPaymentsParams, bytes(message.params)).deal_ids)
        Message.objects.filter(pk=message.pk).update(
            state="LANDED", height=height, exit_code=0, return_data=self.outcome(numbers, height)
        )
        self.paid |= dict.fromkeys(numbers, height)


def current() -> Head:
    found = head_current()
    assert found is not None
    return found


@pytest.fixture
def miner() -> Miner:
    factories.network()
    factories.head(HEIGHT)
    row = factories.miner(2001, refreshed_height=HEIGHT)
    factories.wallet(row.worker)
    factories.signer_connection(row.worker)
    Receiver.objects.create(address="f05", kind="market", code=factories.cid("market"))
    market_set(row, values={"is_open": True, "settle_days": 7}, by=people.principal())
    return row


@pytest.fixture
def node() -> Chain:
    return Chain()


def deal(miner: Miner, node: Chain, number: int, *, start: int, duration: int = 10**6, **data: Any) -> Deal:
    """An active deal of which the market actor has paid nothing."""
    row = factories.deal(
        miner,
        sized(b"paid data"),
        state="SEALING",
        door=DealDoor.MK12,
        **{"price": PRICE, "start_epoch": start, "duration": duration, "chain_deal": number} | data,
    )
    deal_move(row, event="ACTIVATE", piece=None)
    node.paid[number], node.ends[number] = start, start + duration
    return row


def advance(node: Chain) -> None:
    client: Any = node
    settlements_advance(client=client, head=current(), now=clock.now())


def sent() -> list[list[int]]:
    """Numbers of the deals of each message, oldest first."""
    rows = Message.objects.filter(kind=KIND).order_by("created_at")
    return [list(from_cbor(SettleDealPaymentsParams, bytes(row.params)).deal_ids) for row in rows]


def week() -> int:
    """Epochs."""
    return 7 * day_epochs_read()


def test_deals_are_settled_after_a_week_or_once_they_have_ended(miner: Miner, node: Chain) -> None:
    deal(miner, node, 7, start=HEIGHT - week())
    deal(miner, node, 3, start=HEIGHT - 500, duration=400)
    deal(miner, node, 5, start=HEIGHT - week() + 1)
    deal(miner, node, 9, start=HEIGHT - week(), price=0)
    market_set(miner, values={"settle_days": 0}, by=people.principal())
    advance(node)
    assert sent() == []
    market_set(miner, values={"settle_days": 7}, by=people.principal())

    advance(node)

    assert (sent(), node.trials) == ([[3, 7]], [[3, 7]])
    [row] = Settlement.objects.all()
    assert (int(row.owed), row.is_open) == (PRICE * (week() + 400), True)
    message = row.message
    assert message is not None
    assert (message.to, message.value, message.from_addr) == ("f05", 0, miner.worker)
    factories.head(HEIGHT + LOOK_EPOCHS)
    advance(node)
    assert sent() == [[3, 7], [5]], "what is in a message is in no other"


def test_a_deal_without_a_price_is_settled_once_it_has_ended(miner: Miner, node: Chain) -> None:
    """The market actor keeps its collateral until then."""
    terms = {"start": HEIGHT - week() - 500, "duration": week(), "price": 0}
    kept = [deal(miner, node, 7, **terms, collateral=10**18), deal(miner, node, 9, **terms, collateral=0)]
    advance(node)
    assert sent() == []

    people.person("ann")
    where = f"/miners/{miner.address}/market/"
    assert "Payments of deals" not in text_of(signed_in("ann").get(where))
    for row in kept:
        deal_move(row, event="END", piece=None, height=HEIGHT - 500)
    market_set(miner, values={"settle_day_fee": 1}, by=people.principal())
    advance(node)
    page = text_of(signed_in("ann").get(where))
    assert sent() == []
    assert "Payments of deals" in page
    assert "settling has cost" in page, "its collateral waits for a reason"
    market_set(miner, values={"settle_day_fee": 0}, by=people.principal())
    factories.head(HEIGHT + LOOK_EPOCHS)
    advance(node)

    assert sent() == [[7]]
    landed = HEIGHT + LOOK_EPOCHS + 1
    factories.head(landed)
    node.land(Message.objects.get(kind=KIND), landed)
    factories.head(landed + CONFIRM_EPOCHS)
    advance(node)
    kept[0].refresh_from_db()
    assert (kept[0].settled_to, sent()) == (kept[0].earns_until, [[7]])
    assert deal_payments(kept[0], height=HEIGHT).earned == 0


def test_what_was_paid_is_noted_for_each_deal_and_counted_once(miner: Miner, node: Chain) -> None:
    long, short = (
        deal(miner, node, 7, start=HEIGHT - week()),
        deal(miner, node, 3, start=HEIGHT - 1000, duration=500),
    )
    before = payments_of([miner])
    advance(node)
    [message] = Message.objects.filter(kind=KIND)
    node.land(message, HEIGHT + 2)
    factories.head(HEIGHT + 2 + CONFIRM_EPOCHS - 1)
    advance(node)
    assert DealSettlement.objects.filter(is_open=True).count() == 2
    head = HEIGHT + 2 + CONFIRM_EPOCHS
    factories.head(head)

    for _ in range(2):
        advance(node)

    payments = {row.deal_id: int(row.payment) for row in DealSettlement.objects.filter(is_open=False)}
    assert payments == {long.pk: PRICE * (week() + 2), short.pk: PRICE * 500}
    [row] = Settlement.objects.all()
    assert (int(row.paid), row.height) == (sum(payments.values()), HEIGHT + 2)
    for one in (long, short):
        one.refresh_from_db()
    assert deal_payments(short, height=head) == Payments(PRICE * 500, PRICE * 500)
    assert deal_payments(long, height=head).settled == payments[long.pk]
    after = payments_of([miner])
    assert (before.settled, after.settled) == (0, sum(payments.values()))
    assert after.earned == max(before.earned, after.settled), "settling earns nothing more"
    factories.head(head + LOOK_EPOCHS + 1)
    advance(node)
    assert len(sent()) == 1


def test_what_brings_less_than_its_fee_waits_with_the_reason(miner: Miner, node: Chain) -> None:
    poor = deal(miner, node, 7, start=HEIGHT - week())
    node.paid[7], node.gas = HEIGHT - 1, 100 * GAS
    client: Any = node

    advance(node)

    check = SettlementCheck.objects.get(miner=miner)
    assert (sent(), check.height, code_of(check.reason)) == ([], HEIGHT, "market.not_worth")
    with pytest.raises(
        Conflict, match=r"the fee of 0\.00005.* FIL is more than the 0\.00001 FIL that it brings"
    ):
        deals_settle_now(miner, by=people.principal(), client=client, head=current())
    Deal.objects.filter(pk=poor.pk).update(collateral=FIL)
    node.ends[7] = HEIGHT
    factories.head(HEIGHT + LOOK_EPOCHS)
    advance(node)
    assert sent() == [[7]], "its end frees the miner's collateral"


def test_fees_of_a_day_are_limited_but_not_those_of_a_person(miner: Miner, node: Chain) -> None:
    client: Any = node
    market_set(miner, values={"settle_day_fee": 10**12}, by=people.principal())
    deal(miner, node, 1, start=HEIGHT - week())
    advance(node)
    assert sent() == [[1]]
    deal(miner, node, 2, start=HEIGHT - week())
    SettlementCheck.objects.all().delete()
    advance(node)
    check = SettlementCheck.objects.get()
    assert (sent(), code_of(check.reason)) == ([[1]], "market.settle_limit")

    deals_settle_now(miner, by=people.principal(), client=client, head=current())

    assert sent() == [[1], [2]]
    entry = AuditEntry.objects.get(action="market.settle")
    assert entry.target == str(miner)
    with pytest.raises(Conflict, match="the market actor owes nothing for its deals"):
        deals_settle_now(miner, by=people.principal(), client=client, head=current())
    deal(miner, node, 3, start=HEIGHT - week())
    SettlementCheck.objects.all().delete()
    Settlement.objects.update(created_at=clock.now() - timedelta(days=1))
    advance(node)
    assert sent()[2:] == [[3]], "yesterday's are not of today"


def test_a_deal_that_spoils_a_message_or_is_gone_holds_up_no_other(miner: Miner, node: Chain) -> None:
    rows = [deal(miner, node, number, start=HEIGHT - week(), duration=week()) for number in range(1, 6)]
    node.spoils = {2}
    del node.paid[4]

    advance(node)

    assert sorted(number for numbers in sent() for number in numbers) == [1, 3, 5]
    assert code_of(SettlementCheck.objects.get().reason) == "market.settle_refused"
    gone = rows[3]
    gone.refresh_from_db()
    assert gone.settled_to == gone.earns_until, "the market actor has paid all of what it has no more"


def test_messages_are_cut_by_their_gas(miner: Miner, node: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.market.services.settling.GAS_MOST", 3 * GAS)
    for number in range(1, 7):
        deal(miner, node, number, start=HEIGHT - week())

    advance(node)

    assert sorted(sent()) == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("end", ["failed", "refused"])
def test_deals_of_a_message_that_came_to_nothing_are_due_again(miner: Miner, node: Chain, end: str) -> None:
    deal(miner, node, 1, start=HEIGHT - week())
    advance(node)
    state = {"state": "FAILED"} if end == "failed" else {"state": "LANDED", "height": HEIGHT, "exit_code": 16}
    Message.objects.filter(kind=KIND).update(**state)
    factories.head(HEIGHT + CONFIRM_EPOCHS)
    advance(node)
    assert not DealSettlement.objects.filter(is_open=True).exists()
    assert code_of(SettlementCheck.objects.get().reason) == "market.settle_failed"
    assert len(sent()) == 1, "not at once"

    factories.head(HEIGHT + CONFIRM_EPOCHS + LOOK_EPOCHS)
    advance(node)

    assert sent() == [[1], [1]]
    assert not SettlementCheck.objects.get().reason


def test_a_kill_at_any_write_settles_and_counts_nothing_twice(miner: Miner, node: Chain) -> None:
    for number in (1, 2):
        deal(miner, node, number, start=HEIGHT - week())

    assert killed_until_done(lambda: advance(node)) >= 4
    assert sent() == [[1, 2]]
    node.land(Message.objects.get(kind=KIND), HEIGHT + 1)
    factories.head(HEIGHT + 1 + CONFIRM_EPOCHS)
    assert killed_until_done(lambda: advance(node)) >= 4

    assert sent() == [[1, 2]]
    paid = PRICE * (week() + 1)
    assert [int(row.payment) for row in DealSettlement.objects.all()] == [paid, paid]
    assert payments_of([miner]).settled == 2 * paid


def test_rest_and_page_settle_now_and_show_it(
    miner: Miner, node: Chain, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("apps.api.v1.miner_market", "apps.dashboard.pages.miners.market"):
        monkeypatch.setattr(f"{module}.page_client", lambda: node)
    row, path = deal(miner, node, 1, start=HEIGHT - 1000), f"/api/v1/miners/{miner.address}/settlements"
    page, by_page = f"/miners/{miner.address}/market/", f"/miners/{miner.address}/market/settle/"
    alice, reader = (people.bearer(people.token(level)) for level in ("sign", "read"))
    assert client.post(path, headers=reader).status_code == 403
    assert sent() == []

    answer = client.post(path, headers=alice)

    assert (answer.status_code, sent()) == (201, [[1]])
    [made] = answer.json()
    assert (made["owed"], made["is_open"], made["height"]) == (str(PRICE * 1000), True, None)
    refused = client.post(path, headers=alice)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    shown = client.get(path, headers=reader).json()
    assert [one["message"] for one in shown["results"]] == [made["message"]]
    one = client.get(f"/api/v1/deals/{row.uuid}", headers=reader).json()
    assert [(each["payment"], each["is_open"]) for each in one["settlements"]] == [("0", True)]
    node.land(Message.objects.get(kind=KIND), HEIGHT + 2)
    factories.head(HEIGHT + 2 + CONFIRM_EPOCHS)
    advance(node)

    people.person("ann")
    viewer = signed_in("ann")
    assert "Paid into the market balance" in viewer.get(page).content.decode()
    assert f"in epoch {whole(HEIGHT + 2)}" in viewer.get(f"/deals/{row.uuid}/").content.decode()
    left = viewer.post(by_page, follow=True).content.decode()
    assert "will be settled." in left
    assert sent() == [[1], [1]]


def test_the_choice_reads_neither_paid_deals_nor_those_that_wait(miner: Miner, node: Chain) -> None:
    due = [deal(miner, node, number, start=HEIGHT - week()).pk for number in (1, 2)]
    model = deal(miner, node, 3, start=HEIGHT - 5)
    rows = []
    for number in range(4000):
        paid = {"earns_from": 5, "earns_until": 900, "settled_to": 900, "state": "ENDED"}
        waits = {"earns_from": HEIGHT - 9, "earns_until": HEIGHT + number + 9, "settled_to": HEIGHT - 9}
        values = {field.attname: getattr(model, field.attname) for field in Deal._meta.concrete_fields}
        values |= {"id": None, "uuid": uuid4(), "chain_deal": number + 9} | (paid if number % 2 else waits)
        rows.append(Deal(**values))
    Deal.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("analyze market_deal")

    with CaptureQueriesContext(connection) as asked:
        assert [market.miner for market in markets_owed(height=HEIGHT, looked_until=0)] == [miner]
        found = deals_owing(miner, height=HEIGHT, waited=week(), most=100)
        Deal.objects.filter(pk__in=due).update(settled_to=HEIGHT - 9)
        none_owed = markets_owed(height=HEIGHT, looked_until=0)

    assert [row.pk for row in found] == due
    assert none_owed == []
    for query in asked.captured_queries:
        with connection.cursor() as cursor:
            assert rows_read(plan_run(cursor, query["sql"]), "market_deal") < 20, query["sql"]
