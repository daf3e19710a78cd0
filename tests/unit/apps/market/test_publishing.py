"""Publishing: when deals are due, which share a message, and what becomes of one that comes to nothing."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils.translation import override

from apps.chain.models import Head
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.reasons import code_of, shown_text
from apps.market.errors import DealGoesOn
from apps.market.models import Deal, DealMessage
from apps.market.rules import CONFIRM_EPOCHS, PUBLISH_EPOCHS
from apps.market.selectors.deals import NOTED_EPOCHS, Escrow, escrow_of
from apps.market.services.follow import deal_end, deals_advance
from apps.market.services.markets import market_set
from apps.market.services.publishing import KIND, MESSAGES_MAX, deals_publish
from apps.market.states import DealDoor, DealSource
from apps.messages.models import Message, Receiver, Sender
from apps.messages.services.validate import PARAMS_BYTES_MAX
from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.errors import PieceInSector
from apps.pieces.models import Piece
from apps.pieces.services.uploads import piece_remove
from apps.users.rules.encryption import text_encrypt
from poolsite.filecoin.actors.market import (
    ClientDealProposal,
    DealProposal,
    PublishStorageDealsParams,
    PublishStorageDealsReturn,
)
from poolsite.filecoin.address import MARKET_ACTOR, address_parse
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import MIN_DURATION, client_lockup, deal_cid
from poolsite.filecoin.message import Message as ChainMessage
from tests import factories, people
from tests.mk20 import sized
from tests.unit.devnet.deals import signed_by
from tests.unit.devnet.people import STRANGER

pytestmark = pytest.mark.django_db

DATA = b"data of a deal" * 9
START = 90_000
FIL = 10**18


class Chain:
    """A node: what is in both sides' escrows, which labels it leaves out, and which spoil a message."""

    def __init__(self) -> None:
        self.free: dict[str, int] = {}
        self.left_out: set[str] = set()
        self.spoils: set[str] = set()
        self.most = 1000
        self.exit_code = 0
        self.gas = 10**6
        """That each deal uses."""
        self.trials: list[int] = []

    def call(self, method: str, *params: Any) -> Any:
        assert method == "StateDealProviderCollateralBounds"
        return {"Min": "5", "Max": "9"}

    def call_many(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        assert {method for method, _ in calls} == {"StateMarketBalance"}
        return [{"Escrow": str(self.free.get(params[0], FIL)), "Locked": "0"} for _, params in calls]

    def state_call(self, message: ChainMessage, key: str) -> dict[str, Any]:
        assert (message.to, message.method, key) == (MARKET_ACTOR, 4, current().key)
        deals = from_cbor(PublishStorageDealsParams, message.params).deals
        labels = [deal.proposal.label for deal in deals]
        self.trials.append(len(labels))
        if self.exit_code:
            return {"MsgRct": {"ExitCode": self.exit_code}}
        good = [at for at, label in enumerate(labels) if label not in self.left_out]
        if self.spoils & set(labels) or len(labels) > self.most:
            return {"MsgRct": {"ExitCode": 16}, "Error": "it cannot be (16)"}
        if not good:
            return {"MsgRct": {"ExitCode": 16}, "Error": "00: f05 -- All deal proposals invalid (16)"}
        returned = base64.b64encode(answer(good)).decode()
        return {"MsgRct": {"ExitCode": 0, "GasUsed": self.gas * len(labels), "Return": returned}}


def answer(good: list[int], first: int = 70) -> bytes:
    """What the actor returns where it published those at these places."""
    numbers = tuple(first + at for at in range(len(good)))
    return to_cbor(PublishStorageDealsReturn(numbers, bitfield_of(good)))


def current() -> Head:
    found = head_current()
    assert found is not None
    return found


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    factories.head(1000)
    row = factories.miner(2001)
    factories.wallet(row.worker)
    factories.signer_connection(row.worker)
    Receiver.objects.create(address="f05", kind="market", code=factories.cid("market"))
    market_set(row, values={"is_open": True, "publish_wait": 0}, by=people.principal())
    return row


@pytest.fixture
def node() -> Chain:
    return Chain()


def deal(miner: Miner, label: str = "a", **changes: Any) -> Deal:
    """A deal whose data are here."""
    terms = DealProposal(
        piece_cid=sized(DATA).cid,
        piece_size=sized(DATA).padded_size,
        verified_deal=False,
        client=STRANGER.address,
        provider=address_parse(miner.address),
        label=label,
        start_epoch=START,
        end_epoch=START + MIN_DURATION,
        storage_price_per_epoch=1,
        provider_collateral=5,
        client_collateral=0,
    )
    terms = replace(terms, **changes)
    signed: ClientDealProposal = signed_by(STRANGER, terms)
    row = factories.deal(
        miner,
        sized(DATA),
        door=DealDoor.MK12,
        source=DealSource.OFFLINE,
        client=str(STRANGER.address),
        start_epoch=terms.start_epoch,
        proposal=to_cbor(signed),
        proposal_cid=str(deal_cid(terms)),
        collateral=terms.provider_collateral,
        lockup=client_lockup(terms),
    )
    stored = factories.stored_piece(
        miner, state="HELD", held_for=row.uuid, piece_cid=row.piece_cid, padded_size=row.padded_size
    )
    Deal.objects.filter(pk=row.pk).update(state="UNPUBLISHED", piece=stored)
    row.refresh_from_db()
    return row


def publish(node: Chain, **later: int) -> None:
    client: Any = node
    deals_publish(client=client, head=current(), now=clock.now() + timedelta(**later))


def labels() -> list[list[str]]:
    """Labels of the deals of each message."""
    rows = Message.objects.filter(kind=KIND).order_by("created_at")
    read = (from_cbor(PublishStorageDealsParams, bytes(row.params)).deals for row in rows)
    return [[str(one.proposal.label) for one in deals] for deals in read]


def test_many_deals_share_one_message_with_one_trial(miner: Miner, node: Chain) -> None:
    deals = [deal(miner, str(number)) for number in range(5)]

    publish(node)

    assert (labels(), node.trials) == ([["0", "1", "2", "3", "4"]], [5])
    assert set(Deal.objects.values_list("state", flat=True)) == {"PUBLISHING"}
    [message] = Message.objects.filter(kind=KIND)
    # Until data can be active on this network, and a sixth of a period as nothing was sealed here yet.
    sealing = PUBLISH_EPOCHS + 4 + 10
    assert (message.to, message.method, message.expire_epoch) == ("f05", 4, START - sealing)
    assert {row.message_id for row in DealMessage.objects.filter(deal__in=deals)} == {message.pk}
    publish(node)
    assert len(labels()) == 1


def test_what_a_message_in_flight_will_lock_is_reserved_once(
    miner: Miner, node: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.market.selectors.deals.escrow_read", lambda *_, **__: (100, 30))
    client: Any = node
    deal(miner)
    before = escrow_of(miner, client=client, key=current().key)

    publish(node)

    assert set(Deal.objects.values_list("state", flat=True)) == {"PUBLISHING"}
    assert before == escrow_of(miner, client=client, key=current().key) == Escrow(65, reserved=5, locked=30)


def test_a_deal_that_would_spoil_a_message_waits_with_the_reason(miner: Miner, node: Chain) -> None:
    for label in "abcdefgh":
        deal(miner, label)
    node.left_out, node.spoils = {"c"}, {"f"}

    publish(node)

    assert labels() == [["a", "b", "d", "e", "g", "h"]]
    waiting = Deal.objects.filter(state="UNPUBLISHED").order_by("pk")
    signed = [from_cbor(ClientDealProposal, bytes(one.proposal or b"")) for one in waiting]
    assert [one.proposal.label for one in signed] == ["c", "f"]
    assert all(one.reason.startswith("the chain would leave it out: for its signature") for one in waiting)


@pytest.mark.parametrize("most", [3, 500])
@pytest.mark.parametrize(("count", "sizes"), [(6, [3, 3]), (9, [3, 3, 3]), (10, [3, 3, 3, 1])])
def test_deals_go_in_as_few_messages_as_the_chain_takes(
    miner: Miner, node: Chain, count: int, most: int, sizes: list[int]
) -> None:
    market_set(miner, values={"publish_most": most}, by=people.principal())
    for number in range(count):
        deal(miner, str(number))
    node.most = 3

    publish(node)

    assert [len(one) for one in labels()] == sizes


def test_a_message_holds_as_many_deals_as_its_bytes_and_the_rest_waits(miner: Miner, node: Chain) -> None:
    market_set(miner, values={"publish_wait": 100}, by=people.principal())
    for number in range(160):
        deal(miner, f"{number:0256}")

    publish(node)

    [message] = Message.objects.filter(kind=KIND)
    waiting = Deal.objects.filter(state="UNPUBLISHED")
    size, one_more = len(message.params), len(bytes(waiting[0].proposal or b""))
    assert size <= PARAMS_BYTES_MAX < size + one_more
    assert waiting.count() == 160 - len(labels()[0])
    publish(node, hours=2)
    assert not waiting.exists()


def test_a_message_asks_for_half_a_block_of_gas_at_most(miner: Miner, node: Chain) -> None:
    for number in range(9):
        deal(miner, str(number))
    node.gas = 10**9  # a node asks for a quarter more than a message uses

    publish(node)

    assert [len(one) for one in labels()] == [3, 3, 3]
    assert len(node.trials) == 4


def test_deals_that_are_all_left_out_take_one_trial(miner: Miner, node: Chain) -> None:
    node.left_out = {"a", "b", "c", "d"}
    for label in node.left_out:
        deal(miner, label)

    publish(node)

    assert (labels(), node.trials) == ([], [4])
    assert {code_of(one.reason) for one in Deal.objects.all()} == {"market.left_out"}


@pytest.mark.parametrize(
    ("party", "reason"),
    [
        ("miner", "the miner's market balance lacks 0.000000000000000003 FIL"),
        ("client", "the client's market balance lacks 0.0000000000005184 FIL"),
    ],
)
def test_nothing_is_published_beyond_what_both_sides_have(
    miner: Miner, node: Chain, party: str, reason: str
) -> None:
    first, second = deal(miner, "a"), deal(miner, "b")
    if party == "miner":
        node.free[miner.address] = 7
    else:
        node.free[first.client] = int(first.lockup)

    publish(node)

    assert labels() == [["a"]]
    second.refresh_from_db()
    assert (second.state, second.reason) == ("UNPUBLISHED", reason)


def test_deals_wait_for_others_and_a_base_fee_unless_they_start_soon(miner: Miner, node: Chain) -> None:
    market_set(miner, values={"publish_wait": 100, "publish_most": 2}, by=people.principal())
    deal(miner, "a")
    publish(node)
    assert labels() == []
    publish(node, hours=2)
    assert labels() == [["a"]]

    market_set(miner, values={"publish_base_fee": 1}, by=people.principal())
    for label in "bc":
        deal(miner, label)
    publish(node, hours=2)
    assert labels() == [["a"]]

    deal(miner, "d", start_epoch=1050, end_epoch=1050 + MIN_DURATION)
    publish(node)
    assert labels() == [["a"], ["d"]]


@pytest.mark.parametrize(
    ("party", "state"), [("client", "FAILED"), ("chain", "FAILED"), ("miner", "UNPUBLISHED")]
)
def test_what_its_client_leaves_unpublished_for_a_day_fails(
    miner: Miner, node: Chain, party: str, state: str
) -> None:
    late, other = deal(miner, "a"), deal(miner, "b")
    if party == "chain":
        node.left_out = {"a", "b"}
    else:
        node.free[miner.address if party == "miner" else late.client] = 0
    publish(node)
    Deal.objects.filter(pk=other.pk).update(updated_at=clock.now() + timedelta(hours=10))

    publish(node, hours=25)

    assert labels() == []
    late.refresh_from_db()
    other.refresh_from_db()
    assert (late.state, other.state) == (state, "UNPUBLISHED")
    assert late.reason == other.reason != ""


@pytest.mark.parametrize(
    ("exit_code", "trials", "reason"), [(18, 1, "market.no_control"), (7, 5, "market.would_fail")]
)
def test_what_the_miner_lets_fail_is_not_charged_to_clients(
    miner: Miner, node: Chain, exit_code: int, trials: int, reason: str
) -> None:
    deals = [deal(miner, label) for label in "abc"]
    node.exit_code = exit_code
    publish(node)
    assert len(node.trials) == trials

    publish(node, hours=25)

    for one in deals:
        one.refresh_from_db()
        assert (one.state, code_of(one.reason)) == ("UNPUBLISHED", reason)
    node.exit_code = 0
    publish(node)
    assert labels() == [["a", "b", "c"]]


def test_deal_whose_data_are_not_on_the_disk_waits_for_them(miner: Miner, node: Chain) -> None:
    lost, _ = deal(miner, "a"), deal(miner, "b")
    assert lost.piece is not None
    path = piece_path(lost.piece)
    path.rename(f"{path}.away")

    publish(node)

    lost.refresh_from_db()
    assert (labels(), lost.state, code_of(lost.reason)) == ([["b"]], "UNPUBLISHED", "market.data_unreadable")
    path.with_name(f"{path.name}.away").rename(path)
    publish(node, hours=30)
    assert labels() == [["b"], ["a"]]


def test_data_that_stay_away_are_downloaded_again(miner: Miner, node: Chain) -> None:
    one = deal(miner)
    places = text_encrypt(json.dumps([["https://a.example/x", []]]))
    Deal.objects.update(source=DealSource.HTTP, places=places, data_until=clock.now() - timedelta(days=1))
    assert one.piece is not None
    piece_path(one.piece).unlink()
    publish(node)
    publish(node, minutes=59)
    assert set(Deal.objects.values_list("state", flat=True)) == {"UNPUBLISHED"}

    publish(node, minutes=61)
    assert set(Deal.objects.values_list("state", flat=True)) == {"ACCEPTED"}
    deals_advance(height=1000, now=clock.now())

    one.refresh_from_db()
    assert one.piece is not None
    assert (one.state, one.piece.state, labels()) == ("TRANSFERRING", "FETCHING", [])
    assert Piece.objects.get(held_for=one.uuid, state="FAILED").error.startswith("its data are gone")


@pytest.mark.parametrize("party", ["miner", "client"])
def test_what_a_message_under_way_will_lock_is_not_spent_again(miner: Miner, node: Chain, party: str) -> None:
    first = deal(miner, "a")
    node.free[miner.address if party == "miner" else first.client] = {
        "miner": 7,
        "client": int(first.lockup),
    }[party]
    publish(node)
    second = deal(miner, "b")

    publish(node)

    second.refresh_from_db()
    assert (labels(), second.state) == ([["a"]], "UNPUBLISHED")
    assert code_of(second.reason) == f"market.{party}_lacks"
    landed(Message.objects.get(kind=KIND), good=[0])
    publish(node)  # the node's balance is after the landing, which this one has not lowered
    assert labels() == [["a"], ["b"]]


@pytest.mark.parametrize("stuck", ["left out", "poor"])
def test_a_deal_that_is_stuck_makes_no_other_one_due(miner: Miner, node: Chain, stuck: str) -> None:
    market_set(miner, values={"publish_wait": 100}, by=people.principal())
    old = deal(miner, "old", provider_collateral=8)
    Deal.objects.filter(pk=old.pk).update(state_since=clock.now() - timedelta(days=1))
    deal(miner, "new")
    if stuck == "poor":
        node.free[miner.address] = 7
    else:
        node.left_out = {"old"}

    publish(node)

    old.refresh_from_db()
    assert (labels(), bool(old.reason)) == ([], True)
    publish(node, hours=2)
    assert labels() == [["new"]]


def test_a_message_of_before_a_restore_is_found_by_its_deals(miner: Miner, node: Chain) -> None:
    one, other = deal(miner, "a"), deal(miner, "b")
    publish(node)
    [message] = Message.objects.filter(kind=KIND)
    landed(message, good=[1], height=900)
    Message.objects.filter(pk=message.pk).update(kind="", pushed_by="recovered")
    DealMessage.objects.all().delete()
    Deal.objects.update(state="UNPUBLISHED")

    node.left_out = {"a", "b"}
    for _ in range(2):
        publish(node)

    for row in (one, other):
        row.refresh_from_db()
    assert (other.state, other.chain_deal) == ("VERIFIED", 70)
    assert (one.state, one.messages.count(), Message.objects.count()) == ("UNPUBLISHED", 1, 1)


def test_what_cannot_be_sealed_in_time_is_not_published(
    miner: Miner, node: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.market.services.publishing.first_deal_epoch", lambda *_, **__: START)
    late = deal(miner)

    publish(node)

    late.refresh_from_db()
    assert (labels(), late.state) == ([], "FAILED")
    assert late.reason == f"it was not published early enough to be sealed before its start epoch {START}"
    assert late.piece is not None
    assert late.piece.state == "FAILED"


def landed(message: Message, *, good: list[int], exit_code: int = 0, height: int = 1000) -> None:
    Message.objects.filter(pk=message.pk).update(
        state="LANDED",
        height=height,
        exit_code=exit_code,
        return_data=b"" if exit_code else answer(good),
    )


def test_numbers_are_read_by_the_place_in_the_message_once_they_stay(miner: Miner, node: Chain) -> None:
    first, second = deal(miner, "a"), deal(miner, "b")
    publish(node)
    [message] = Message.objects.filter(kind=KIND)
    landed(message, good=[1])
    factories.head(1000 + CONFIRM_EPOCHS - 1)
    publish(node)
    assert set(Deal.objects.values_list("state", flat=True)) == {"PUBLISHING"}

    factories.head(1000 + CONFIRM_EPOCHS)
    node.left_out = {"a"}
    publish(node)

    for row in (first, second):
        row.refresh_from_db()
    assert (second.state, second.chain_deal) == ("VERIFIED", 70)
    assert second.piece is not None
    assert (second.piece.state, second.piece.deal) == ("READY", 70)
    assert (first.state, first.chain_deal) == ("UNPUBLISHED", None)
    assert first.reason == f"the chain left it out of message {message.push_id}"
    with override("zh-hans"):
        assert shown_text(first.reason) == f"链上在消息 {message.push_id} 中略过了它"


def test_an_earlier_message_that_failed_may_still_land(miner: Miner, node: Chain) -> None:
    one = deal(miner)
    publish(node)
    first = Message.objects.get(kind=KIND)
    Message.objects.filter(pk=first.pk).update(state="FAILED")
    publish(node, minutes=1)
    one.refresh_from_db()
    second = Message.objects.filter(kind=KIND).exclude(pk=first.pk).get()
    assert (one.state, one.messages.count()) == ("PUBLISHING", 2)

    landed(first, good=[0], height=900)
    Message.objects.filter(pk=second.pk).update(state="FAILED")
    publish(node)

    one.refresh_from_db()
    assert (one.state, one.chain_deal, len(labels())) == ("VERIFIED", 70, 2)


@pytest.mark.parametrize("ending", ["people", "late", "data gone"])
@pytest.mark.parametrize("is_landing", [True, False])
def test_deal_does_not_fail_while_a_message_may_publish_it(
    miner: Miner, node: Chain, monkeypatch: pytest.MonkeyPatch, ending: str, is_landing: bool
) -> None:
    one = deal(miner)
    publish(node)
    first = Message.objects.get(kind=KIND)
    Sender.objects.update_or_create(address=first.from_addr, defaults={"chain_nonce": 4})
    Message.objects.filter(pk=first.pk).update(state="FAILED", nonce=4)
    if ending != "people":
        factories.head(START if ending == "data gone" else 1001)
    later = START + 9 if ending == "late" else 0
    monkeypatch.setattr("apps.market.services.publishing.first_deal_epoch", lambda *_, **__: later)
    node.free[miner.address] = 0

    def end() -> None:
        if ending == "people":
            deal_end(one, by=people.principal())
        elif ending == "data gone":
            Piece.objects.all().delete()
            deals_advance(height=START, now=clock.now())
        publish(node)

    publish(node)
    one.refresh_from_db()
    if ending == "people":
        with pytest.raises(DealGoesOn, match="one of its messages may still publish it"):
            end()
    else:
        end()
    one.refresh_from_db()
    assert one.state == ("ACCEPTED" if ending == "data gone" else "UNPUBLISHED")
    if is_landing:
        landed(first, good=[0], height=900)
        publish(node)
        one.refresh_from_db()
        assert one.chain_deal == 70
        return

    transfer = Message.objects.create(
        pk="cancel", method=0, from_addr=first.from_addr, nonce=4, state="LANDED", height=current().height
    )
    Sender.objects.update(chain_nonce=5)
    if ending != "people":
        end()
        one.refresh_from_db()
        assert one.state != "FAILED", "a reorganisation may bring it back"
    Message.objects.filter(pk=transfer.pk).update(height=current().height - NOTED_EPOCHS)
    end()

    one.refresh_from_db()
    assert (one.state, one.chain_deal) == ("FAILED", None)


def test_a_deal_that_messages_leave_out_again_and_again_is_given_up(miner: Miner, node: Chain) -> None:
    one = deal(miner)
    for _ in range(2 * MESSAGES_MAX):
        publish(node, minutes=1)
        for message in Message.objects.filter(kind=KIND, state="UNFILLED"):
            landed(message, good=[], exit_code=16, height=900)

    one.refresh_from_db()
    assert (one.state, one.messages.count()) == ("FAILED", MESSAGES_MAX)
    assert one.reason.endswith("failed with exit code 16")


def test_data_that_come_again_keep_their_number(miner: Miner, node: Chain) -> None:
    one = deal(miner)
    assert one.piece is not None
    with pytest.raises(PieceInSector, match="it waits for its deal to be published"):
        piece_remove(one.piece, by=people.principal())
    publish(node)
    landed(Message.objects.get(kind=KIND), good=[0], height=900)
    publish(node)

    Piece.objects.all().delete()  # as by an older backup
    Deal.objects.update(data_until=clock.now() - timedelta(days=1))
    deals_advance(height=1000, now=clock.now())
    deals_advance(height=1001, now=clock.now() + timedelta(days=90))
    one.refresh_from_db()
    assert (one.state, one.chain_deal) == ("ACCEPTED", 70)
    factories.stored_piece(
        miner, state="HELD", held_for=one.uuid, piece_cid=one.piece_cid, padded_size=one.padded_size
    )
    deals_advance(height=1000, now=clock.now())
    publish(node)

    one.refresh_from_db()
    assert one.piece is not None
    assert (one.state, one.piece.state, one.piece.deal, len(labels())) == ("VERIFIED", "READY", 70, 1)
