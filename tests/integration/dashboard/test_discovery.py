"""How a miner's data are made known to indexers, by page and REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.core.clock import now
from apps.core.formatting import whole
from apps.dashboard.pages.miners import market as page
from apps.dashboard.pages.miners import market_facts
from apps.market.models import AdChain, Advertisement, IndexerAnswer, IndexerFetch, MinerDoor
from apps.market.selectors.deals import Escrow
from apps.market.services.markets import market_set
from apps.miners.models import Miner
from poolsite.filecoin.policy import MAINNET
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
INDEXER = "https://indexer.example/announce"
HEAD, EARLIER = factories.cid("head"), factories.cid("earlier")
HERE = "/miners/f02001/market/"


@pytest.fixture
def miner(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Miner:
    settings.CONSOLE_URL = "https://pool.example"
    monkeypatch.setattr(market_facts, "escrow_of", lambda *_, **__: Escrow(free=0, reserved=0, locked=0))
    row = factories.miner(2001)
    people.person("ann", of="alice")
    return row


def advertised(miner: Miner) -> AdChain:
    """A chain of two links, of which one is signed."""
    MinerDoor.objects.create(miner=miner, host="a", port=1, peer_id=PEER, said_at=now())
    chain = AdChain.objects.create(
        miner=miner, peer_id=PEER, addresses=["/dns/pool.example/tcp/443/https"], length=1, head=HEAD
    )
    for number, body in ((1, b"{}"), (2, None)):
        Advertisement.objects.create(
            chain=chain,
            number=number,
            kind="ADD",
            body=body,
            is_live=True,
            piece_cid=factories.piece_cid(number),
        )
    return chain


def test_the_page_shows_what_indexers_say_and_fetch(miner: Miner) -> None:
    browser = signed_in("ann")
    assert "Advertisements to indexers" not in text_of(browser.get(HERE))
    market_set(miner, values={"serves_data": True, "indexers": [INDEXER]}, by=people.principal())
    text = text_of(browser.get(HERE))
    for words in ("held up", "has no libp2p door", "not told yet", "Nobody yet"):
        assert words in text, words

    market_set(miner, values={"takes_libp2p": True}, by=people.principal())
    chain = advertised(miner)
    refusal = "the destination answered 403 no such provider"
    IndexerAnswer.objects.create(chain=chain, url=INDEXER, head=HEAD, told_at=now(), reason=refusal)
    IndexerFetch.objects.create(
        chain=chain, address="192.0.2.7", agent="indexer/1", cid=HEAD, fetched_at=now(), hashes=40_005
    )
    Advertisement.objects.filter(number=1).update(blocks=41_234)
    text = text_of(browser.get(HERE))
    for words in (
        "being signed",
        "did not take it",
        refusal,
        "192.0.2.7",
        "indexer/1",
        "the newest",
        PEER,
        whole(41_234),
    ):
        assert words in text, words
    IndexerAnswer.objects.update(reason="", head=EARLIER)
    IndexerFetch.objects.update(cid=EARLIER)
    text = text_of(browser.get(HERE))
    assert "knows an earlier one" in text
    assert f"{whole(40_005)} multihashes in all" in text
    assert "an earlier one" in text


def test_a_refused_indexer_stays_in_the_form(miner: Miner) -> None:
    browser = signed_in("ann")
    answer = browser.post(HERE, {"indexers": "ftp://indexer.example", "clients_rule": "anybody"})

    assert "ftp://indexer.example: must be an http:// or https:// URL" in text_of(answer)
    assert ">ftp://indexer.example</textarea>" in answer.content.decode()


def test_the_public_indexer_is_proposed_on_the_main_network_only(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in("ann")
    assert page.INDEXER not in text_of(browser.get(HERE))
    monkeypatch.setattr(page, "network_bound", lambda: MAINNET)
    assert page.INDEXER in text_of(browser.get(HERE))


def test_rest_says_the_same(miner: Miner) -> None:
    reader, here = people.bearer(people.token("read")), "/api/v1/miners/f02001/discovery"
    empty = Client().get(here, headers=reader).json()
    assert (empty["reason"], empty["length"], empty["path"]) == (
        "the miner does not serve its data to anybody",
        0,
        "",
    )
    market_set(
        miner,
        values={"serves_data": True, "takes_libp2p": True, "indexers": [INDEXER]},
        by=people.principal(),
    )
    chain = advertised(miner)
    IndexerFetch.objects.create(chain=chain, address="192.0.2.7", fetched_at=now())

    found = Client().get(here, headers=reader).json()
    assert found["reason"] == ""
    assert (found["length"], found["waiting"], found["pieces"], found["blocks"]) == (1, 1, 2, 0)
    assert found["missing"] == 2  # to be removed: the pieces are not there
    assert (found["peer_id"], found["path"]) == (PEER, f"/ipni-provider/{PEER}")
    assert found["indexers"] == [
        {"url": INDEXER, "head": "", "told_at": None, "reason": "", "reason_code": ""}
    ]
    assert [(row["address"], row["cid"]) for row in found["readers"]] == [("192.0.2.7", "")]
    other = people.bearer(people.token("read", of="bob"))
    assert Client().get(here, headers=other).status_code == 404
