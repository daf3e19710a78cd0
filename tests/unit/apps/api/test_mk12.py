"""Market 1.2: what a client sends is read, decided and answered, over a real connection too."""

from __future__ import annotations

import asyncio
import threading
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django import DjangoAssertNumQueries

from apps.api.mk12 import answers
from apps.api.mk12.answers import Door
from apps.api.mk12.streams import Streams
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import clock
from apps.gateway.errors import SignerAway
from apps.market.models import Deal
from apps.market.reasons import TERM_OVER
from apps.market.services.markets import market_set
from apps.market.services.transfers import places_decode
from apps.miners.models import Miner
from apps.sectors.models import PipelineRun, Sector
from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import ClientDealProposal, DealProposal
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deals import MIN_DURATION
from poolsite.filecoin.keys import key_sign
from poolsite.filecoin.signature import Signature, signature_verify
from poolsite.filecoin.storage_market import ASK_RESPONSE, STORAGE_ASK, map_decode
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.listener import Listener
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline.sealing_states import SectorState
from poolsite.wire.pipeline.snapping import SnapState
from tests import factories, people
from tests.killed_writes import killed_writes
from tests.libp2p_client import Client, connections_close
from tests.mk12 import Chain, params, signed_cid, status_request
from tests.mk20 import sized
from tests.unit.devnet.deals import signed_by
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, Person

pytestmark = pytest.mark.django_db

DATA = b"data" * 200
START = 90_000


@pytest.fixture
def miner(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Miner:
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path), True
    factories.head(1000)
    row = factories.miner(2001, worker=str(WORKER.address))
    market_set(row, values={"is_open": True}, by=people.principal())
    monkeypatch.setattr(answers, "page_client", Chain)
    return row


def signed(miner: Miner, who: Person = STRANGER, **changes: Any) -> ClientDealProposal:
    terms = {
        "piece_cid": sized(DATA).cid,
        "piece_size": sized(DATA).padded_size,
        "verified_deal": True,
        "client": who.address,
        "provider": address_parse(miner.address),
        "label": "a",
        "start_epoch": START,
        "end_epoch": START + MIN_DURATION,
        "storage_price_per_epoch": 1,
        "provider_collateral": 5,
        "client_collateral": 0,
    }
    return signed_by(who, DealProposal(**{**terms, **changes}))


def proposed(miner: Miner, request: bytes) -> tuple[bool, str]:
    row = cbor.decode(Door(miner.address or "").propose(request))
    return row["Accepted"], row["Message"]


def test_an_online_deal_is_accepted_with_its_url_and_headers(miner: Miner) -> None:
    key, one = uuid.uuid4(), signed(miner)
    headers = {"Authorization": "secret"}
    request = params(
        one,
        key=key,
        url="https://a.example/x.car",
        headers=headers,
        size=len(DATA),
        RemoveUnsealedCopy=True,
    )

    assert proposed(miner, request) == proposed(miner, request) == (True, "")

    deal = Deal.objects.get()
    assert (deal.uuid, deal.state, deal.door, deal.source) == (key, "ACCEPTED", "mk12", "http")
    assert (deal.client, deal.raw_size, deal.is_sized, deal.is_verified) == (
        *(str(STRANGER.address), len(DATA), True),
        True,
    )
    assert (deal.collateral, deal.lockup, deal.is_announced) == (5, MIN_DURATION, False)
    assert deal.removes_copy
    assert bytes(deal.proposal or b"") == to_cbor(one)
    [place] = places_decode(deal)
    assert (place.url, place.headers) == ("https://a.example/x.car", (("Authorization", "secret"),))


def test_a_proposal_asks_the_database_little(
    miner: Miner, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """Strangers send them as often as they like."""
    first, second = (params(signed(miner, label=label)) for label in "ab")
    assert proposed(miner, first) == (True, "")

    with django_assert_max_num_queries(16):
        assert proposed(miner, second) == (True, "")


def test_an_offline_deal_of_an_older_client_that_names_itself_by_number(miner: Miner) -> None:
    terms = signed(miner).proposal
    one = signed_by(STRANGER, DealProposal(**{**_fields(terms), "client": address_parse("f01234")}))

    assert proposed(miner, params(one, RemoveUnsealedCopy=None, SkipIPNIAnnounce=None)) == (True, "")

    deal = Deal.objects.get()
    assert (deal.client, deal.source, deal.is_sized) == (str(STRANGER.address), "offline", False)
    assert (deal.raw_size, deal.is_announced, deal.removes_copy) == (1016, True, False)
    same = f"deal proposal is identical to deal {deal.uuid}"
    assert proposed(miner, params(signed(miner))) == (False, same), "under its key it is the same"


def _fields(terms: DealProposal) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in DealProposal.__dataclass_fields__}


@pytest.mark.parametrize(
    ("changes", "terms", "reason"),
    [
        (
            {},
            {"provider": "f01007"},
            "incorrect provider for deal; deal provider: f01007, our provider: f02001",
        ),
        ({"url": "ftp://x"}, {}, "deal proposal has transfer size 0"),
        ({"url": "ftp://x", "size": 9}, {}, "invalid url: "),
        ({"url": "http://x/", "size": 2000}, {}, "transfer size 2000 does not fit into the piece of 1024"),
        ({}, {"piece_size": 1000}, "proposal piece size is invalid: 1000"),
        ({}, {"piece_size": 0}, "proposal piece size is invalid: 0"),
        ({}, {"piece_size": 64}, "invalid deal proposal: proposal piece size is invalid: 64"),
        ({}, {"piece_size": 1 << 63}, f"proposal piece size is invalid: {1 << 63}"),
        ({"url": "http://x/", "size": -5}, {}, "transfer size -5 does not fit into the piece of 1024"),
        ({"size": -(1 << 62)}, {}, f"transfer size {-(1 << 62)} does not fit into the piece of 1024"),
        ({}, {"provider_collateral": 1 << 300}, "invalid deal proposal: Provider collateral out of bounds."),
        ({}, {"client_collateral": -1}, "invalid deal proposal: Client collateral out of bounds."),
        ({}, {"end_epoch": (1 << 63) - 1}, "invalid deal proposal: Deal duration out of bounds."),
        ({}, {"start_epoch": -1}, "invalid deal proposal: Deal start epoch has already elapsed."),
        ({}, {"start_epoch": 999}, "Start epoch is less than the current chain height"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_proposal_that_is_not_right_is_refused_with_the_reason(
    miner: Miner, changes: dict[str, Any], terms: dict[str, Any], reason: str
) -> None:
    if "provider" in terms:
        terms = {"provider": address_parse(terms["provider"])}

    is_accepted, message = proposed(miner, params(signed(miner, **terms), **changes))

    assert not is_accepted
    assert message.startswith(reason), message
    assert not Deal.objects.exclude(state="REFUSED").exists()


def test_a_client_whom_the_chain_does_not_know_is_refused(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The market actor would leave its deal out, however often it is tried."""
    known = Chain.call_many

    def call_many(self: Chain, calls: Any) -> list[Any]:
        return [NodeRefused(1, "actor not found"), *known(self, calls)[1:]]

    monkeypatch.setattr(Chain, "call_many", call_many)
    one = signed(miner, verified_deal=False, storage_price_per_epoch=0)

    assert proposed(miner, params(one)) == (False, "client address is not on chain")


def test_a_stolen_signature_and_a_node_that_is_away(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    stolen = ClientDealProposal(signed(miner).proposal, signed(miner, OWNER).client_signature)
    assert proposed(miner, params(stolen)) == (
        False,
        "deal signature verification failed: signature did not match",
    )

    def away(fault: Exception, *_: Any, **__: Any) -> Any:
        raise fault

    for fault in (NodeUnavailable("away"), OperationalError("away")):
        monkeypatch.setattr(Chain, "call_many", partial(away, fault))
        assert proposed(miner, params(signed(miner))) == (False, "Please retry in some time.")
    by_number = replace(signed(miner).proposal, client=address_parse("f01234"))
    monkeypatch.setattr(Chain, "state_account_key", partial(away, NodeRefused(1, "no account")))
    assert proposed(miner, params(signed_by(STRANGER, by_number))) == (
        False,
        "deal signature verification failed: no account",
    )
    for broken in (b"\xa0", b"\x80", b"\x01", params(signed(miner))[:-9], params(signed(miner), Transfer=[])):
        with pytest.raises(BadCbor):
            proposed(miner, broken)
    assert not Deal.objects.exists()


def test_status_is_told_to_the_clients_key_alone(miner: Miner) -> None:
    key, one = uuid.uuid4(), signed(miner)
    proposed(miner, params(one, key=key))
    door = Door(miner.address or "")

    own, other, unknown = (
        cbor.decode(door.status(status_request(which, signer=who.key)))
        for which, who in ((key, STRANGER), (key, OWNER), (uuid.uuid4(), STRANGER))
    )

    assert (own["Error"], own["DealStatus"]["Status"], own["IsOffline"]) == ("", "Accepted", True)
    assert own["DealStatus"]["SignedProposalCid"] == signed_cid(one)
    assert own["DealStatus"]["Proposal"][5] == "a"
    assert (own["DealStatus"]["PublishCid"], own["DealStatus"]["ChainDealID"]) == (None, 0)
    assert own["DealStatus"]["SealingStatus"] == ""
    assert (other["Error"], other["DealStatus"]) == ("signature verification failed", None)
    assert unknown["Error"].startswith("no storage deal found with deal UUID")
    Deal.objects.update(state="FAILED", reason="it came to nothing")
    failed = cbor.decode(door.status(status_request(key, signer=STRANGER.key)))
    assert failed["DealStatus"]["Error"] == "it came to nothing"
    Deal.objects.update(state="REFUSED", reason="the tenant's quota of pieces has no room")
    refused = cbor.decode(door.status(status_request(key, signer=STRANGER.key)))
    assert refused["Error"] == f"no storage deal found with deal UUID {key}"
    assert refused["DealStatus"] is None


def test_status_of_a_deal_being_sealed_says_where_its_sector_is(miner: Miner) -> None:
    key = uuid.uuid4()
    proposed(miner, params(signed(miner), key=key))
    sector = factories.sector(miner, number=7)
    Deal.objects.update(state="SEALING", sector_number=7)
    told: dict[str, str] = {}

    def tell(state: str) -> None:
        answer = cbor.decode(Door(miner.address or "").status(status_request(key, signer=STRANGER.key)))
        told[state] = answer["DealStatus"]["SealingStatus"]

    for state in ("TREE_D_BUILT", "TICKET_ASSIGNED", "PRECOMMIT_LANDED", "COMMIT_SENT", "PROVING"):
        Sector.objects.filter(pk=sector.pk).update(state=state)
        tell(state)
    job = factories.proof_job(sector.miner, worker=factories.worker(), state="DONE", lease_until=None)
    run = PipelineRun.objects.create(
        sector=sector, job=job, kind=JobKind.SNAP_UP, state=SnapState.UPDATE_SENT, state_since=clock.now()
    )
    tell("UPDATE_SENT")
    PipelineRun.objects.filter(pk=run.pk).update(state="SNAP_ABORTED")
    tell("SNAP_ABORTED")
    one = Deal.objects.get()
    for name, reason in (("its term is over", TERM_OVER(epoch=9)), ("its sector ended", "")):
        one.state, one.reason = "ENDED", reason
        one.save()
        tell(name)

    assert list(told.values()) == [
        *("GetTicket", "PreCommit1", "WaitSeed", "CommitAggregateWait", "Proving"),
        *("ReplicaUpdateWait", "Proving"),
        *("Proving", "Removed"),
    ]
    over = {"ABORTED", "TERMINATED", "SNAP_ABORTED"}
    assert {str(state) for state in (*SectorState, *SnapState)} - over == set(answers.SECTOR_WORDS)


def test_deals_that_are_not_published_use_up_the_clients_data_cap(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sized(DATA).padded_size
    monkeypatch.setitem(Chain.ANSWERS, "StateVerifiedClientStatus", str(2 * size + 1))
    first, second, third = (params(signed(miner, label=label)) for label in "abc")

    assert proposed(miner, first) == proposed(miner, second) == (True, "")
    refused = (False, "verified deal DataCap too small for proposed piece size")
    assert proposed(miner, third) == refused
    assert proposed(miner, params(signed(miner, label="d", verified_deal=False)))[0]
    Deal.objects.filter(is_verified=True, state="ACCEPTED").update(state="VERIFIED")  # the chain counts them
    assert proposed(miner, third) == (True, "")


def test_the_ask_is_signed_by_the_worker_once_until_its_terms_change(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    signatures: list[bytes] = []

    def sign(*, address: Any, to_sign: bytes, meta_type: str, **_: Any) -> Signature:
        assert (str(address), meta_type) == (miner.worker, "storageask")
        signatures.append(to_sign)
        return key_sign(WORKER.key, to_sign)

    monkeypatch.setattr(answers, "bytes_sign", sign)
    door = Door(miner.address or "")
    request = cbor.encode({"Miner": bytes([0, 0xD1, 0x0F])})

    first, second = door.ask(request), door.ask(request)

    assert first == second
    assert len(signatures) == 1
    answer = map_decode(first, ASK_RESPONSE)["Ask"]
    assert answer["Ask"] == map_decode(signatures[0], STORAGE_ASK)
    assert (answer["Ask"]["Price"], answer["Ask"]["MaxPieceSize"]) == (0, miner.sector_size)
    signature_verify(answer["Signature"], WORKER.address, signatures[0])
    market_set(miner, values={"price": 7}, by=people.principal())
    assert map_decode(door.ask(request), ASK_RESPONSE)["Ask"]["Ask"]["Price"] == 7
    market_set(miner, values={"is_open": False}, by=people.principal())
    assert door.ask(request) == cbor.encode({"Ask": None})
    assert door.ask(cbor.encode({"Miner": bytes([0, 1])})) == cbor.encode({"Ask": None})


def test_a_signer_that_is_away_is_not_asked_by_each_stranger(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def away(**named: Any) -> Signature:
        asked.append(named)
        raise SignerAway(miner.worker)

    monkeypatch.setattr(answers, "bytes_sign", away)
    door = Door(miner.address or "")
    for _ in range(3):
        assert door.ask(cbor.encode({"Miner": bytes([0, 0xD1, 0x0F])})) == cbor.encode({"Ask": None})
    assert len(asked) == 1


class Answering(Door):
    """Answers without a database."""

    def propose(self, request: bytes) -> bytes:
        if request == b"\x01":
            raise BadCbor("not a proposal")
        return cbor.encode({"Accepted": True, "Message": str(len(request))})


def test_clients_need_not_close_their_side_and_a_broken_request_is_reset() -> None:
    streams = Streams(Answering("f02001", http_addresses=(b"\x04\x7f\x00\x00\x01",)))

    async def play() -> None:
        listener = Listener(Identity.of_seed(bytes(32)), streams.protocols, agent="poolsite")
        client = await Client.connect(await listener.open("127.0.0.1", 0))
        for name in ("/fil/storage/mk/1.2.1", "/fil/storage/mk/1.2.0"):
            answer = await client.ask(name, cbor.encode({"a": bytes(3000)}))
            assert cbor.decode(answer) == {"Accepted": True, "Message": "3006"}
        transports = cbor.decode(await client.ask("/fil/retrieval/transports/1.0.0"))
        assert transports == {"Protocols": [{"Name": "http", "Addresses": [b"\x04\x7f\x00\x00\x01"]}]}
        for broken in (b"\x01", b"\x9f\x01\xff", b"\x01\x02"):
            with pytest.raises(AssertionError, match="was reset"):
                await client.ask("/fil/storage/mk/1.2.0", broken)
        await connections_close()
        await listener.close()

    asyncio.run(play())
    streams.close()


def test_a_flood_of_one_stranger_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    class Slow(Answering):
        def propose(self, request: bytes) -> bytes:
            assert go_on.wait(20)
            return super().propose(request)

    streams = Streams(Slow("f02001"))
    monkeypatch.setattr("apps.api.mk12.streams.SOURCE_WAITING_MAX", 2)
    request = cbor.encode({})

    async def play() -> None:
        listener = Listener(Identity.of_seed(bytes(32)), streams.protocols, agent="poolsite")
        port = await listener.open("127.0.0.1", 0)
        clients = [await Client.connect(port) for _ in range(3)]
        waiting = [asyncio.create_task(one.ask("/fil/storage/mk/1.2.1", request)) for one in clients[:2]]
        while streams._waiting.total() < 2:
            await asyncio.sleep(0.01)
        refused = cbor.decode(await clients[2].ask("/fil/storage/mk/1.2.1", request))
        assert refused == {"Accepted": False, "Message": "Please retry in some time."}
        with pytest.raises(AssertionError, match="was reset"):
            await clients[2].ask("/fil/storage/status/1.2.0", request)
        go_on.set()
        assert [cbor.decode(await one)["Accepted"] for one in waiting] == [True, True]
        assert not streams._waiting
        await connections_close()
        await listener.close()

    asyncio.run(play())
    streams.close()


@pytest.mark.django_db(transaction=True)
def test_a_door_killed_at_any_write_makes_one_deal_and_one_answer(miner: Miner) -> None:
    def play() -> tuple[bool, str]:
        return proposed(miner, request)

    for after in range(20):
        request = params(signed(miner, label=f"no {after}"), url="https://a.example/x.car", size=len(DATA))
        was_killed = killed_writes(play, after=after)
        assert play() == play() == (True, "")
        assert Deal.objects.count() == after + 1
        if not was_killed:
            break

    assert after > 0
