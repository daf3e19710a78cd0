"""Proposals: what each rule says of one that it does not allow, and what an accepted one leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.signals import pre_delete

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.market.errors import RETRY, DealBusy, DealRefused
from apps.market.models import Deal
from apps.market.rules import Place, Proposal
from apps.market.selectors.deals import market_of
from apps.market.services import markets, proposals, trimming
from apps.market.services.markets import market_set
from apps.market.services.proposals import proposal_decide
from apps.market.services.transfers import places_decode
from apps.market.states import DealSource
from apps.miners.models import Miner
from apps.pieces.models import PieceQuota
from poolsite.filecoin.actors.market import DealProposal
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.piece_cids import SizedPiece
from tests import factories, people
from tests.two_at_once import HELD_S, Held
from tests.unit.devnet.deals import signed_by
from tests.unit.devnet.people import STRANGER

pytestmark = pytest.mark.django_db

MIB = 1 << 20
LARGE = SizedPiece(bytes(31) + b"\x01", MIB // 128 * 127)
LONG = 600_000


class Chain:
    """A node that knows one allocation."""

    def __init__(self, **row: Any) -> None:
        self.row = row

    def ask(self, read: Any, method: str, owner: str, number: int, key: Any) -> Any:
        assert (method, owner, number, key) == ("StateGetAllocation", factories.secp(5), 3, None) or key == []
        return read(self.row or None)


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    factories.head(1000)
    row = factories.miner(2001, sector_size=8 * MIB)
    market_set(row, values={"is_open": True}, by=people.principal())
    return row


def proposal(miner: Miner, **changes: Any) -> Proposal:
    return Proposal(
        **{
            "uuid": uuid4(),
            "door": "mk20",
            "client": factories.secp(5),
            "provider": miner.address,
            "piece": LARGE,
            "start_epoch": 90_000,
            "duration": LONG,
            "allocation": None,
            "source": DealSource.PUT,
            "digest": "d",
            **changes,
        }
    )


def propose(one: Proposal, chain: Any = None) -> Deal:
    return proposal_decide(one, client=chain, now=clock.now())


def allocation(**changes: Any) -> Chain:
    row = {
        "Client": 1005,
        "Provider": 2001,
        "Data": cid_to_json(LARGE.cid),
        "Size": MIB,
        "TermMin": 518_400,
        "TermMax": 1_000_000,
        "Expiration": 200_000,
    }
    return Chain(**(row | changes))


def test_an_accepted_proposal_is_one_deal_however_often_it_comes(miner: Miner) -> None:
    one = proposal(miner)

    first, again = propose(one), propose(one)

    assert first.pk == again.pk
    assert (first.state, first.piece_cid, first.padded_size, first.raw_size, first.start_epoch) == (
        "ACCEPTED",
        str(LARGE.cid),
        MIB,
        LARGE.payload_size,
        90_000,
    )
    for other in (replace(one, digest="e"), replace(one, client=factories.secp(6))):
        with pytest.raises(DealRefused, match="deal with this identifier already exists"):
            propose(other)
    assert Deal.objects.count() == 1


def test_the_headers_of_a_clients_urls_are_kept_encrypted(miner: Miner) -> None:
    places = (Place("https://a.example/x?key=k", (("Authorization", "secret"),)),)

    deal = propose(proposal(miner, source=DealSource.HTTP, places=places))

    assert tuple(places_decode(deal)) == places
    assert "secret" not in deal.places
    assert "a.example" not in deal.places


@pytest.mark.parametrize(
    ("rules", "changes", "reason"),
    [
        ({"is_open": False}, {}, "provider is disabled"),
        ({"takes_put": False}, {}, "data source put is not enabled"),
        (
            {},
            {"piece": SizedPiece(LARGE.comm_p, 16 * MIB)},
            "Deal size is larger than the miner's sector size",
        ),
        ({"most_size": MIB // 2}, {}, "piece size 1048576 is larger than the maximum of 524288"),
        ({"least_size": 2 * MIB}, {}, "piece size 1048576 is smaller than the minimum of 2097152"),
        (
            {"clients_rule": "only", "clients": [factories.secp(6)]},
            {},
            "Client is not allowed to make deal with this provider",
        ),
        (
            {"clients_rule": "except", "clients": [factories.secp(5)]},
            {},
            "Client is not allowed to make deal with this provider",
        ),
        ({}, {"start_epoch": 999}, "Start epoch is less than the current chain height"),
        (
            {},
            {"start_epoch": 1001},
            "Start epoch is less than the current chain height plus the expected PoRep seal duration",
        ),
        (
            {"start_wait": 100_000},
            {},
            "Start epoch is less than the current chain height plus the expected PoRep seal duration",
        ),
        ({"start_within": 50}, {}, "Start epoch is more than 50 epochs after the current chain height"),
        ({}, {"duration": 1}, "duration must be at least"),
        ({}, {"duration": 90_000_000}, "no new sector fits its terms"),
        ({"is_verified_only": True}, {}, "provider only accepts verified deals"),
        (
            {"price": 1024},
            {},
            "storage price per epoch less than asking price: 0 < 1",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_rule_refuses_in_the_providers_words_and_a_row_says_why(
    miner: Miner, rules: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    market_set(miner, values=rules, by=people.principal())
    one = proposal(miner, **changes)

    with pytest.raises(DealRefused, match=reason):
        propose(one)

    rows = [(deal.state, deal.reason) for deal in Deal.objects.all()]
    assert not rows if rules == {"is_open": False} else [state for state, _ in rows] == ["REFUSED"]
    assert all(reason in said for _, said in rows)


@pytest.mark.parametrize(
    ("found", "changes", "reason"),
    [
        (None, {}, "Verified piece must have a valid allocation ID"),
        ({"Provider": 7}, {}, "Allocation provider does not belong to the list of miners of this pool"),
        ({"Provider": 2002}, {}, "Allocation provider is not the provider of the deal"),
        ({"Size": 2 * MIB}, {}, "Allocation size does not match the piece size"),
        ({"TermMin": LONG + 1}, {}, "Allocation term min is greater than deal duration"),
        ({"TermMax": LONG - 1}, {}, "Allocation term max is less than deal duration"),
        ({"Expiration": 89_999}, {}, "Allocation expiration is less than deal start epoch"),
        ({"Expiration": 1000}, {"start_epoch": None}, "Allocation expiration is less than the expected"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_allocation_must_be_for_these_data_at_this_miner(
    miner: Miner, found: dict[str, Any] | None, changes: dict[str, Any], reason: str
) -> None:
    factories.miner(2002)
    chain = Chain() if found is None else allocation(**found)

    with pytest.raises(DealRefused, match=reason):
        propose(proposal(miner, allocation=3, **changes), chain)


def test_a_good_allocation_is_noted_with_its_client(miner: Miner) -> None:
    deal = propose(proposal(miner, allocation=3), allocation())

    assert (deal.client_id, deal.allocation) == (1005, 3)
    assert deal.terms == {"client": 1005, "allocation": 3}


def test_published_deal_must_end_within_the_life_of_a_sector(miner: Miner) -> None:
    start = 1278 * 2880 - 520_000
    terms = DealProposal(
        piece_cid=LARGE.cid,
        piece_size=LARGE.padded_size,
        verified_deal=False,
        client=STRANGER.address,
        provider=address_parse(miner.address),
        label="a",
        start_epoch=start,
        end_epoch=start + LONG,
        storage_price_per_epoch=1,
        provider_collateral=5,
        client_collateral=0,
    )
    changes = {"door": "mk12", "client": str(STRANGER.address), "start_epoch": start}

    with pytest.raises(DealRefused, match=f"it would have to live to epoch {start + LONG} or longer"):
        propose(proposal(miner, signed=signed_by(STRANGER, terms), **changes))


def test_an_allocation_is_promised_to_one_deal_at_a_time(miner: Miner) -> None:
    first = propose(proposal(miner, allocation=3), allocation())

    with pytest.raises(DealRefused, match="Allocation 3 is already used by deal"):
        propose(proposal(miner, allocation=3), allocation())
    Deal.objects.filter(pk=first.pk).update(state="FAILED")

    assert propose(proposal(miner, allocation=3), allocation()).state == "ACCEPTED"


def test_a_proposal_that_was_refused_may_come_again(miner: Miner) -> None:
    market_set(miner, values={"is_verified_only": True}, by=people.principal())
    one = proposal(miner)
    with pytest.raises(DealRefused):
        propose(one)
    market_set(miner, values={"is_verified_only": False}, by=people.principal())

    deal = propose(one)

    assert (deal.state, deal.reason, Deal.objects.count()) == ("ACCEPTED", "", 1)


@pytest.mark.parametrize("state", ["FAILED", "ENDED"])
def test_a_deal_that_is_over_is_not_accepted_again(miner: Miner, state: str) -> None:
    one = proposal(miner)
    deal = propose(one)
    Deal.objects.filter(pk=deal.pk).update(state=state, reason="its data did not come")

    with pytest.raises(DealRefused, match="deal with this identifier is over: its data did not come"):
        propose(one)

    assert list(Deal.objects.values_list("state", flat=True)) == [state]


def test_what_there_is_no_room_for_is_told_to_come_again(miner: Miner) -> None:
    market_set(miner, values={"waiting_deals": 1}, by=people.principal())
    propose(proposal(miner))

    with pytest.raises(DealBusy) as refusal:
        propose(proposal(miner))

    assert refusal.value.reason == RETRY == "Please retry in some time."
    assert Deal.objects.get(state="REFUSED").reason == "1 deal waits for its data or a sector"
    market_set(
        miner, values={"waiting_deals": 9, "waiting_bytes": 2 * LARGE.payload_size}, by=people.principal()
    )
    propose(proposal(miner))
    with pytest.raises(DealBusy):
        propose(proposal(miner))


def test_strangers_free_deals_leave_room_for_others(miner: Miner) -> None:
    market_set(miner, values={"waiting_deals": 4}, by=people.principal())
    for number in (6, 7):
        propose(proposal(miner, client=factories.secp(number)))

    with pytest.raises(DealBusy):
        propose(proposal(miner, client=factories.secp(8)))

    reason = "2 deals wait that cost their clients nothing"
    assert Deal.objects.get(state="REFUSED").reason == reason
    assert propose(proposal(miner, allocation=3), allocation()).state == "ACCEPTED"
    named = {"clients_rule": "only", "clients": [factories.secp(8)]}
    market_set(miner, values=named, by=people.principal())
    assert propose(proposal(miner, client=factories.secp(8))).state == "ACCEPTED"


def test_disks_that_may_never_come_promise_no_room(miner: Miner) -> None:
    PieceQuota.objects.create(tenant=miner.tenant, limit_bytes=3 * LARGE.payload_size // 2)
    propose(proposal(miner, source=DealSource.OFFLINE))

    assert propose(proposal(miner)).state == "ACCEPTED"


@pytest.mark.django_db(transaction=True)
def test_proposals_to_miners_of_two_tenants_take_turns(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    other = factories.miner(2002, of="other", sector_size=8 * MIB)
    market_set(other, values={"is_open": True}, by=people.principal())
    second = Held(lambda: propose(proposal(other)))
    use_check = proposals._use_check
    seen: list[int] = []

    def check(one: Proposal, of: Miner, *rest: Any) -> None:
        use_check(one, of, *rest)
        seen.append(of.pk)
        if of == miner:
            second.start()
            second.thread.join(HELD_S)

    monkeypatch.setattr(proposals, "_use_check", check)
    propose(proposal(miner))

    assert seen == [miner.pk]
    second.end()
    assert seen == [miner.pk, other.pk]


def test_the_room_of_a_quota_is_promised_once(miner: Miner) -> None:
    PieceQuota.objects.create(tenant=miner.tenant, limit_bytes=3 * LARGE.payload_size // 2)
    propose(proposal(miner))

    with pytest.raises(DealBusy):
        propose(proposal(miner))

    Deal.objects.filter(state="ACCEPTED").update(state="FAILED")
    assert propose(proposal(miner)).state == "ACCEPTED"


def test_of_refusals_the_newest_stay(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trimming, "ROWS_MAX", 3)
    kept = propose(proposal(miner))
    market_set(miner, values={"is_verified_only": True}, by=people.principal())
    names = [uuid4() for _ in range(8)]
    for name in names:
        with pytest.raises(DealRefused):
            propose(proposal(miner, uuid=name))

    refused = Deal.objects.filter(state="REFUSED").values_list("uuid", flat=True)

    assert list(refused) == names[:-4:-1]
    assert Deal.objects.filter(pk=kept.pk).exists()


def test_failed_deals_leave_by_when_they_failed_and_not_before_their_data(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "ROWS_MAX", 1)
    oldest, late, early = (propose(proposal(miner)) for _ in range(3))
    coming = factories.piece(miner, state="FETCHING", held_for=oldest.uuid)
    Deal.objects.filter(pk=oldest.pk).update(piece=coming)
    for hours, one in enumerate((late, early, oldest)):
        Deal.objects.filter(pk=one.pk).update(
            state="FAILED", state_since=clock.now() - timedelta(hours=hours)
        )

    trimming.deals_tidy(miner, state="FAILED")

    assert list(Deal.objects.order_by("pk")) == [oldest, late]


@pytest.mark.django_db(transaction=True)
def test_a_refusal_that_is_accepted_this_moment_is_not_deleted(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "ROWS_MAX", 1)
    market_set(miner, values={"is_verified_only": True}, by=people.principal())
    old = proposal(miner)
    with pytest.raises(DealRefused):
        propose(old)
    market_set(miner, values={"is_verified_only": False}, by=people.principal())
    again = Held(lambda: propose(old))

    def accept(**_: Any) -> None:
        again.start()
        again.thread.join(HELD_S)

    pre_delete.connect(accept, sender=Deal)
    try:
        with pytest.raises(DealRefused):
            propose(proposal(miner, duration=1))
    finally:
        pre_delete.disconnect(accept, sender=Deal)

    assert isinstance(again.end(), DomainError) or Deal.objects.filter(state="ACCEPTED").exists()


def test_data_have_their_time(miner: Miner) -> None:
    put, offline = (
        propose(proposal(miner, source=source)) for source in (DealSource.PUT, DealSource.OFFLINE)
    )

    assert put.data_until is not None
    assert offline.data_until is not None
    assert offline.data_until - put.data_until > timedelta(days=50)


class Accounts:
    """A node that knows the key of one account."""

    def state_account_key(self, number: str) -> str:
        if number == "f01234":
            return factories.secp(5)
        if number == "f01":
            raise NodeUnavailable("no node")
        raise NodeRefused(1, "actor not found")


def test_a_client_that_is_named_by_its_number_is_the_one_that_signs(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markets, "chain_client", Accounts)
    by = people.principal()

    row = market_set(miner, values={"clients_rule": "except", "clients": ["t01234", factories.bls(4)]}, by=by)

    assert row.clients == [factories.secp(5), factories.bls(4)]
    with pytest.raises(DealRefused, match="Client is not allowed"):
        propose(proposal(miner))
    for name, why in (
        ("f09", "the chain has no account f09: enter the client's f1, f3 or f410 address"),
        ("f01", "no node answers which key f01 has: enter the client's f1, f3 or f410 address"),
        (str(miner.robust), "signs no proposals: enter the client's f1, f3 or f410 address"),
        ("x", "x is not an address"),
    ):
        with pytest.raises(BadValue, match=why) as refusal:
            market_set(miner, values={"clients": [name]}, by=by)
        assert refusal.value.field == "clients"
    assert market_of(miner).clients == row.clients
