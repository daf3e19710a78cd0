"""Where deals are taken: multiaddresses and peer id by page, REST and JSON-RPC, and who reaches them."""

from __future__ import annotations

import base64
import socket
from socket import gethostname
from typing import Any

import pytest
from django.test import Client

from apps.api.v1 import miner_market
from apps.automation.models import AutoRule
from apps.automation.selectors.auto_rules import escrow_rules
from apps.automation.states import RuleKind
from apps.core.clock import now
from apps.core.formatting import fil
from apps.dashboard.pages.miners import market_facts
from apps.gateway.models import SignerConnection
from apps.market.models import MinerDoor, MinerMarket
from apps.market.selectors.deals import Escrow
from apps.market.services.markets import market_set
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.users.models import AuditEntry
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import (
    ChangeMultiaddrsParams,
    ChangePeerIDParams,
)
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.multiaddr import multiaddr_decode, multiaddr_encode, multiaddr_parse, multiaddr_text
from poolsite.wire.proposals import NO_PUBLISHING
from tests import factories, people
from tests.integration.dashboard.miner_addresses import (
    WORKER,
    info,
    pushed,
    rest,
    rpc,
)
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

__all__ = ["info"]

PLACES = ["/ip4/8.8.8.8/tcp/24001", "/dns4/deals.example/tcp/443/wss"]
PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


def announced(info: dict[str, Any], *texts: str, peer_id: str | None = None) -> None:
    """The chain announces these."""
    data = [multiaddr_encode(multiaddr_parse(text)) for text in texts]
    info |= {"Multiaddrs": [base64.b64encode(one).decode() for one in data] or None, "PeerId": peer_id}


def test_the_worker_announces_where_deals_are_taken(info: dict[str, Any]) -> None:
    announced(info, "/ip4/1.2.3.4/tcp/1")
    first, again = (rest({"change": "multiaddrs", "addresses": PLACES}, key="k") for _ in range(2))

    assert (first.status_code, again.json()["message"]) == (201, first.json()["message"])
    assert first.json()["says"] == again.json()["says"] == f"multiaddresses: {', '.join(PLACES)}"
    message = pushed()
    params = from_cbor(ChangeMultiaddrsParams, bytes(message.params))
    assert (message.from_addr, message.method) == (WORKER, Method.CHANGE_MULTIADDRS)
    assert [multiaddr_text(multiaddr_decode(one)) for one in params.new_multiaddrs] == PLACES
    other = rest({"change": "multiaddrs", "addresses": PLACES[:1]}, key="k")
    assert (other.status_code, other.json()["field"]) == (409, "key")
    entry = AuditEntry.objects.get(action="miner.address-change")
    assert entry.before == {"addresses": "multiaddresses: /ip4/1.2.3.4/tcp/1"}
    reader = people.bearer(people.token("read"))
    shown = Client().get("/api/v1/miners/f02001/addresses", headers=reader).json()
    assert shown["multiaddrs"] == ["/ip4/1.2.3.4/tcp/1"]
    assert shown["on_the_way"][0]["says"] == f"multiaddresses: {', '.join(PLACES)}"


def test_a_peer_id_is_announced_over_json_rpc(info: dict[str, Any]) -> None:
    told = rpc("MinerAddressChange", "f02001", {"change": "peer-id", "addresses": [PEER], "key": "k"})

    assert told["result"]["says"] == f"peer id {PEER}"
    assert (pushed().from_addr, pushed().method) == (WORKER, Method.CHANGE_PEER_ID)
    params = from_cbor(ChangePeerIDParams, bytes(pushed().params))
    assert params.new_id.hex().startswith("002408011220")


@pytest.mark.parametrize(
    ("change", "addresses", "words"),
    [
        ("multiaddrs", ["8.8.8.8:24001"], "use a form such as /ip4"),
        ("multiaddrs", ["/ip4/8.8.8.8/tcp/99999"], "'99999' is not a valid tcp value"),
        ("multiaddrs", [f"/dns4/{'a' * 60}.example/tcp/1"] * 20, "the chain accepts at most 1024 bytes"),
        ("multiaddrs", None, "an empty list removes all multiaddresses"),
        ("peer-id", [], "give exactly one peer id"),
        ("peer-id", ["bafz"], "is not a peer ID"),
        ("peer-id", [PEER, PEER], "give exactly one peer id"),
    ],
)
def test_what_cannot_be_announced_names_the_field(
    info: dict[str, Any], change: str, addresses: list[str] | None, words: str
) -> None:
    body = {"change": change} | ({} if addresses is None else {"addresses": addresses})

    answer = rest(body)

    assert (answer.status_code, answer.json()["field"]) == (400, "addresses")
    assert words in answer.json()["message"]
    assert not Message.objects.exists()


def test_nothing_is_announced_any_more_by_an_empty_list(info: dict[str, Any]) -> None:
    assert rest({"change": "multiaddrs", "addresses": []}).json()["says"] == "multiaddresses: none"
    assert from_cbor(ChangeMultiaddrsParams, bytes(pushed().params)).new_multiaddrs == ()


def test_the_page_announces_places_after_a_review_and_keeps_what_was_wrong(info: dict[str, Any]) -> None:
    announced(info, PLACES[0], peer_id=PEER)
    info["Multiaddrs"].append(base64.b64encode(b"\xff\xff\x03").decode())
    people.person("ann", of="alice")
    browser, here = signed_in("ann"), "/miners/f02001/addresses/"

    text = text_of(browser.get(here))
    for words in ("Deal addresses", PLACES[0], PEER, "ffff03", "Check reachability"):
        assert words in text, words
    wrong = browser.post(here, {"change": "multiaddrs", "addresses": "deals.example:24001"})
    assert wrong.status_code == 422
    assert "deals.example:24001</textarea>" in wrong.content.decode()
    typed = {"change": "multiaddrs", "addresses": "\r\n".join(PLACES), "key": "k1"}
    assert f"multiaddresses: {', '.join(PLACES)}" in text_of(browser.post(here, typed))
    assert not Message.objects.exists()
    assert browser.post(here, {**typed, "sure": "yes"}).status_code == 302
    assert pushed().method == Method.CHANGE_MULTIADDRS


def test_page_and_rest_say_whether_clients_reach_the_node(
    info: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    announced(info, "/ip4/10.0.0.5/tcp/24001", "/ip4/8.8.8.8/udp/4001/quic-v1", peer_id=PEER)
    found = Client().get("/api/v1/miners/f02001/reach", headers=people.bearer(people.token("write"))).json()

    assert found["peer_id"] == PEER
    assert [one["state"] for one in found["results"]] == ["private", "not_tried"]
    reader = people.bearer(people.token("read"))
    assert Client().get("/api/v1/miners/f02001/reach", headers=reader).status_code == 403
    people.person("ann", of="alice")
    text = text_of(signed_in("ann").get("/miners/f02001/addresses/?reach=1"))
    assert "10.0.0.5 is not a public address: outside clients cannot reach it" in text


def test_the_market_page_compares_a_door_with_the_chain_and_sets_it(
    info: dict[str, Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONSOLE_URL = "https://deals.example"
    announced(info, PLACES[1], peer_id="Qm" + "Y" * 44)
    miner = Miner.objects.get()
    market_set(miner, values={"takes_libp2p": True}, by=people.principal())
    escrow = Escrow(free=2 * 10**18, reserved=10**17, locked=10**18)
    monkeypatch.setattr(market_facts, "escrow_of", lambda *_, **__: escrow)
    people.person("ann", of="alice")
    browser, here = signed_in("ann"), "/miners/f02001/market/"

    assert "no process serves it" in text_of(browser.get(here))
    MinerDoor.objects.create(miner=miner, host=gethostname(), port=24001, peer_id=PEER, said_at=now())
    answer = browser.get(here)
    text = text_of(answer)
    for words in (
        *("answers", PEER, "another one: clients do not find this door", PLACES[1], "Set peer id…"),
        *(
            "Add /dns4/deals.example/tcp/24001…",
            "Free for further deals",
            f"{fil(escrow.free)} FIL",
            "No rule tops it up",
        ),
    ):
        assert words in text, words
    with socket.create_server(("127.0.0.1", 0)) as closed:
        MinerMarket.objects.update(libp2p_port=closed.getsockname()[1])
    assert "not reached" in text_of(browser.get(f"{here}?reach=1"))
    typed = {"change": "peer-id", "addresses": PEER, "key": "k1"}
    assert f"peer id {PEER}" in text_of(browser.post("/miners/f02001/addresses/", typed))
    announced(info, PLACES[0], peer_id=PEER)
    text = text_of(browser.get(here))
    assert "the same" in text
    assert "Set peer id…" not in text
    assert "Add /dns4/deals.example/tcp/443/wss…" in text


def test_the_market_page_says_whose_policy_publishes_no_deals(
    info: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner = Miner.objects.get()
    monkeypatch.setattr(market_facts, "escrow_of", lambda *_, **__: Escrow(free=1, reserved=0, locked=0))
    signer = factories.signer_connection(WORKER, policy_advice=[NO_PUBLISHING])
    people.person("ann", of="alice")
    browser, here = signed_in("ann"), "/miners/f02001/market/"
    words = "no rule of its policy allows PublishStorageDeals"

    assert words not in text_of(browser.get(here))
    market_set(miner, values={"takes_libp2p": True}, by=people.principal())
    answer = browser.get(here)
    assert words in text_of(answer)
    assert f'href="/wallets/{WORKER}/policy/"' in answer.content.decode()
    SignerConnection.objects.filter(pk=signer.pk).update(policy_advice=[])
    assert words not in text_of(browser.get(here))


def test_only_rules_that_are_on_are_said_to_top_up_the_market_balance() -> None:
    miner = factories.miner(robust=factories.secp(9))
    spec = {"source": factories.bls(1), "is_escrow": True, "low": "1", "high": "2", "day_max": "3"}
    rules = [
        AutoRule.objects.create(
            tenant=miner.tenant, kind=RuleKind.TOP_UP, is_on=is_on, settings={**spec, "target": target}
        )
        for target, is_on in (
            (miner.address, True),
            (str(miner.robust), True),
            (miner.address, False),
            ("f09", True),
        )
    ]

    assert escrow_rules(people.principal(), miner.names) == rules[:2]


def test_rest_says_how_a_door_is_and_what_is_in_escrow(
    info: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner = Miner.objects.get()
    reader = people.bearer(people.token("read"))
    assert Client().get("/api/v1/miners/f02001/market", headers=reader).json()["door"] is None
    market_set(miner, values={"takes_libp2p": True}, by=people.principal())
    MinerDoor.objects.create(miner=miner, host="a", port=24001, peer_id=PEER, said_at=now())

    door = Client().get("/api/v1/miners/f02001/market", headers=reader).json()["door"]
    assert (door["is_up"], door["reason"], door["host"], door["peer_id"]) == (True, "", "a", PEER)

    monkeypatch.setattr(miner_market, "escrow_of", lambda *_, **__: Escrow(free=-1, reserved=2, locked=3))
    found = Client().get("/api/v1/miners/f02001/escrow", headers=reader).json()
    assert found == {"free": "-1", "reserved": "2", "locked": "3", "rules": []}
    other = people.bearer(people.token("read", of="bob"))
    assert Client().get("/api/v1/miners/f02001/escrow", headers=other).status_code == 404
