"""A miner's filter: what it is asked, how its answer counts at both doors, and what happens without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from apps.api.mk12 import answers
from apps.api.mk12.answers import Door
from apps.core import clock
from apps.core.errors import BadValue
from apps.market.errors import RETRY, DealBusy, DealRefused
from apps.market.models import Deal, MinerMarket
from apps.market.rules import Place, Proposal
from apps.market.services import deal_filter, proposals
from apps.market.services.markets import market_set
from apps.market.services.proposals import proposal_decide
from apps.market.states import DealSource
from apps.miners.models import Miner
from apps.users.models import AuditEntry
from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import DealProposal
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.deals import MIN_DURATION
from poolsite.filecoin.piece_cids import SizedPiece
from tests import factories, people
from tests.killed_writes import Killed, kill
from tests.mk12 import Chain, params
from tests.mk20 import Mk20Client, document, sized
from tests.page_client import signed_in, text_of
from tests.unit.devnet.deals import signed_by
from tests.unit.devnet.people import STRANGER, WORKER

pytestmark = pytest.mark.django_db

MIB = 1 << 20
LARGE = SizedPiece(bytes(31) + b"\x01", MIB // 128 * 127)
NO = {"accept": False, "reason": "no more than\n10 TiB a week\x00"}
SAID = "no more than 10 TiB a week"


class Filter:
    """Answers proposals, and keeps them."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = {"accept": True}
        self.asked: list[dict[str, Any]] = []
        self.go = threading.Event()
        self.go.set()
        parent = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/deals?key=secret"
                assert self.headers["Content-Type"] == "application/json"
                parent.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                parent.go.wait(10)
                self.send_response(parent.status)
                self.send_header("Location", "/deals?key=secret")
                self.end_headers()
                answer = parent.answer
                self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"http://127.0.0.1:{self.server.server_port}"
        self.url = f"{self.host}/deals?key=secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def own() -> Iterator[Filter]:
    found = Filter()
    yield found
    found.go.set()
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def miner(settings: Any, tmp_path: Path, own: Filter) -> Miner:
    settings.PIECES_DIR, settings.ALERT_URLS_PRIVATE = str(tmp_path / "pieces"), True
    factories.head(1000)
    row = factories.miner(2001, sector_size=8 * MIB, worker=str(WORKER.address))
    set_(row, is_open=True, filter_url=own.url)
    return row


def set_(miner: Miner, **values: Any) -> MinerMarket:
    return market_set(miner, values=values, by=people.principal())


def proposal(miner: Miner, **changes: Any) -> Proposal:
    return Proposal(
        **{
            "uuid": uuid4(),
            "door": "mk20",
            "client": factories.secp(5),
            "provider": miner.address,
            "piece": LARGE,
            "start_epoch": 90_000,
            "duration": 600_000,
            "allocation": None,
            "source": DealSource.HTTP,
            "places": (Place("https://a.example/x?key=k", (("Authorization", "token"),)),),
            "digest": "d",
            **changes,
        }
    )


def propose(one: Proposal) -> Deal:
    return proposal_decide(one, client=None, now=clock.now())  # type: ignore[arg-type]  # nothing is asked


def test_what_the_filter_accepts_is_a_deal(miner: Miner, own: Filter) -> None:
    one = proposal(miner)

    deal = propose(one)

    assert (deal.state, deal.reason) == ("ACCEPTED", "")
    assert own.asked == [
        {
            "deal": str(one.uuid),
            "miner": "f02001",
            "client": one.client,
            "door": "mk20",
            "height": 1000,
            "piece_cid": str(LARGE.cid),
            "padded_size": MIB,
            "raw_size": LARGE.payload_size,
            "start_epoch": 90_000,
            "duration": 600_000,
            "is_verified": False,
            "allocation": None,
            "price_per_epoch": "0",
            "collateral": "0",
            "source": "http",
            "urls": ["https://a.example/x"],
            "is_announced": False,
        }
    ]
    assert propose(one).pk == deal.pk
    assert len(own.asked) == 1


def test_it_is_not_asked_about_what_there_is_no_room_for(miner: Miner, own: Filter) -> None:
    set_(miner, waiting_deals=1)
    propose(proposal(miner))

    with pytest.raises(DealBusy):
        propose(proposal(miner))

    assert len(own.asked) == 1


def test_what_it_refuses_is_refused_in_its_words(miner: Miner, own: Filter) -> None:
    own.answer = NO
    one = proposal(miner)

    with pytest.raises(DealRefused) as refusal:
        propose(one)

    assert refusal.value.reason == Deal.objects.get().reason == SAID
    own.answer = {"accept": True}
    assert propose(one).state == "ACCEPTED"


@pytest.mark.parametrize("reason", [None, "", "\n"])
def test_a_refusal_without_words_is_still_one(miner: Miner, own: Filter, reason: str | None) -> None:
    own.answer = {"accept": False, "reason": reason}

    with pytest.raises(DealRefused, match="Deal rejected by the provider"):
        propose(proposal(miner))


def test_what_the_rules_refuse_it_is_not_asked_about(miner: Miner, own: Filter) -> None:
    with pytest.raises(DealRefused):
        propose(proposal(miner, start_epoch=999))

    assert own.asked == []


BAD_ANSWERS = [b"", b"yes", b"[]", b"{}", b'{"accept": 1}', b'{"accept": "yes"}', b"\xff", b"[" * 9000]
BAD_ANSWERS += [b'{"accept": true, "reason": 1}', b'{"accept": true}' + b" " * (16 << 10)]


@pytest.mark.parametrize("answer", BAD_ANSWERS)
@pytest.mark.parametrize("accepts", [False, True])
def test_an_answer_that_cannot_be_read_is_none(
    miner: Miner, own: Filter, answer: bytes, accepts: bool
) -> None:
    own.answer = answer
    without_answer(miner, accepts=accepts)


@pytest.mark.parametrize("status", [201, 302, 403, 500])
@pytest.mark.parametrize("accepts", [False, True])
def test_another_status_is_no_answer(miner: Miner, own: Filter, status: int, accepts: bool) -> None:
    own.status = status

    assert without_answer(miner, accepts=accepts) == f"the filter gave no answer: HTTP status {status}"
    assert len(own.asked) == 1


@pytest.mark.parametrize("accepts", [False, True])
def test_a_slow_filter_is_waited_for_no_longer_than_clients_wait(
    miner: Miner, own: Filter, accepts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deal_filter, "ANSWER_S", 0.3)
    own.go.clear()

    assert without_answer(miner, accepts=accepts) == "the filter gave no answer: timed out"


@pytest.mark.parametrize("accepts", [False, True])
def test_no_private_host_is_asked(miner: Miner, own: Filter, accepts: bool, settings: Any) -> None:
    settings.ALERT_URLS_PRIVATE = False

    said = without_answer(miner, accepts=accepts)

    assert said == "the filter gave no answer: its host has no public address"
    assert own.asked == []


def test_a_url_of_another_key_is_no_answer(miner: Miner, own: Filter, settings: Any) -> None:
    settings.SECRET_KEY = "another"

    assert without_answer(miner, accepts=False).endswith("encrypted with another key")


def without_answer(miner: Miner, *, accepts: bool) -> str:
    """Propose where no answer comes; return what the deal's row says."""
    set_(miner, accepts_unfiltered=accepts)
    if accepts:
        assert propose(proposal(miner)).state == "ACCEPTED"
    else:
        with pytest.raises(DealBusy) as refusal:
            propose(proposal(miner))
        assert refusal.value.reason == RETRY
    deal = Deal.objects.get()
    assert deal.state == ("ACCEPTED" if accepts else "REFUSED")
    assert deal.reason.startswith("the filter gave no answer: ")
    return str(deal.reason)


def test_whoever_keeps_the_filter_busy_does_not_get_round_it(
    miner: Miner, own: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_(miner, accepts_unfiltered=True)
    monkeypatch.setitem(deal_filter._in_progress, miner.pk, deal_filter.ASKED_AT_ONCE)

    with pytest.raises(DealBusy):
        propose(proposal(miner))

    assert own.asked == []
    assert Deal.objects.get().reason == "the filter is being asked about 4 others already"


def test_it_is_asked_outside_of_transactions(
    miner: Miner, own: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, during = len(connection.savepoint_ids), list[int]()
    ask = deal_filter._ask

    def noted(*args: Any) -> bytes:
        during.append(len(connection.savepoint_ids))
        return ask(*args)

    monkeypatch.setattr(deal_filter, "_ask", noted)

    propose(proposal(miner))

    assert during == [outside]
    assert not deal_filter._in_progress


def test_a_kill_between_answer_and_deal_has_it_asked_again(
    miner: Miner, own: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = proposal(miner)
    with monkeypatch.context() as patch:
        patch.setattr(proposals, "_accept", kill)
        with pytest.raises(Killed):
            propose(one)
    assert not Deal.objects.exists()

    assert propose(one).state == "ACCEPTED"

    assert own.asked[0] == own.asked[1]
    assert Deal.objects.count() == 1


def test_it_answers_clients_of_market_2_0(client: Client, miner: Miner, own: Filter) -> None:
    own.answer = NO
    who = Mk20Client()
    body = document(who, miner, bytes(1000))

    refused = who.ask(client, "POST", "/deal", body)
    own.answer = b"?"
    busy = who.ask(client, "POST", "/deal", body)
    own.answer = {"accept": True}
    accepted = who.ask(client, "POST", "/deal", body)

    assert (refused.status_code, refused.content.decode()) == (426, f"Reason: {SAID}")
    assert (busy.status_code, busy.content.decode()) == (429, f"Reason: {RETRY}")
    assert (accepted.status_code, Deal.objects.get().state) == (200, "ACCEPTED")


def test_it_answers_clients_of_market_1_2(miner: Miner, own: Filter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "page_client", Chain)
    data = b"data" * 200
    signed = signed_by(
        STRANGER,
        DealProposal(
            piece_cid=sized(data).cid,
            piece_size=sized(data).padded_size,
            verified_deal=True,
            client=STRANGER.address,
            provider=address_parse(miner.address or ""),
            label="a",
            start_epoch=90_000,
            end_epoch=90_000 + MIN_DURATION,
            storage_price_per_epoch=7,
            provider_collateral=5,
            client_collateral=0,
        ),
    )
    request = params(signed, key=uuid4(), url="https://a.example/x.car?key=k", headers={}, size=len(data))
    own.answer = NO

    refused = cbor.decode(Door(miner.address or "").propose(request))
    own.answer = b"?"
    busy = cbor.decode(Door(miner.address or "").propose(request))
    own.answer = {"accept": True}
    accepted = cbor.decode(Door(miner.address or "").propose(request))

    assert refused == {"Accepted": False, "Message": SAID}
    assert busy == {"Accepted": False, "Message": RETRY}
    assert accepted == {"Accepted": True, "Message": ""}
    asked = own.asked[0]
    assert (asked["door"], asked["price_per_epoch"], asked["collateral"]) == ("mk12", "7", "5")
    assert (asked["urls"], asked["client"]) == (["https://a.example/x.car"], str(STRANGER.address))


def test_its_url_is_a_secret(client: Client, miner: Miner, own: Filter) -> None:
    shown = f"{own.host}/…"
    row = MinerMarket.objects.get()
    assert (row.filter_url, "secret" in row.filter_target) == (shown, False)
    people.person("ann")
    browser = signed_in("ann")

    page = browser.get("/miners/f02001/market/").content.decode()
    told = client.get("/api/v1/miners/f02001/market", headers=people.bearer(people.token("read"))).json()

    assert shown in page
    assert told["filter_url"] == shown
    assert "secret" not in page + json.dumps(told)
    # As it is shown it stays, by page and REST.
    writer = people.bearer(people.token("sign"))
    values = {"filter_url": shown, "accepts_unfiltered": True}
    answer = client.patch(
        "/api/v1/miners/f02001/market", values, content_type="application/json", headers=writer
    )
    assert answer.json()["accepts_unfiltered"] is True
    assert MinerMarket.objects.get().filter_target == row.filter_target
    # Another key at the same host, then none.
    for url in (f"{own.host}/deals?key=other", ""):
        client.patch(
            "/api/v1/miners/f02001/market",
            {"filter_url": url},
            content_type="application/json",
            headers=writer,
        )
    entries = list(AuditEntry.objects.filter(action="market.set").order_by("pk").values("before", "after"))
    assert entries[-2] == {"before": {"filter_url": shown}, "after": {"filter_url": "another"}}
    assert entries[-1] == {"before": {"filter_url": shown}, "after": {"filter_url": ""}}
    assert "secret" not in str(entries)
    assert MinerMarket.objects.get().filter_target == ""


@pytest.mark.parametrize(
    "url",
    [
        "ftp://f.example/",
        "https://user:key@f.example/",
        "filter",
        "https://f.example/ä",
        "https://f.example/a b",
        f"https://{'a' * 400}/",
        "http://127.0.0.1:8000/",
        "http://localhost/",
        "http://[::1]/",
    ],
)
def test_what_is_no_filter_is_refused(miner: Miner, url: str, settings: Any) -> None:
    settings.ALERT_URLS_PRIVATE = False
    before = MinerMarket.objects.get().filter_target

    with pytest.raises(BadValue) as refusal:
        set_(miner, filter_url=url)

    assert refusal.value.field == "filter_url"
    assert MinerMarket.objects.get().filter_target == before


def test_the_page_says_why_a_url_is_refused(miner: Miner) -> None:
    people.person("ann")

    answer = signed_in("ann").post(
        "/miners/f02001/market/", {"filter_url": "ftp://f", "waiting_deals": "7", "clients_rule": "anybody"}
    )

    assert answer.status_code == 422
    assert "must be an http:// or https:// URL" in text_of(answer)
