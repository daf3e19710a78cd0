"""The message pool of a real devnet on its pages, and the countdown to an upgrade."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from apps.chain.models import Network, Node
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.core.clock import now
from apps.dashboard.pagination import ROWS
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from poolsite.filecoin.amounts import FIL
from tests import factories
from tests.people import PASSWORD, person
from tests.unit.devnet.people import person as keyholder
from tests.unit.devnet.people import signed

pytestmark = pytest.mark.django_db

BUSY, QUIET = keyholder("busy sender"), keyholder("quiet sender")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    funds = {who.address: 100 * FIL for who in (BUSY, QUIET)}
    node = Devnet(":memory:", network="test", clock=ManualClock(), funds=funds)
    node.mine(2)
    for nonce in range(ROWS + 2):
        node.mempool.push(signed(node, BUSY, QUIET.address, nonce=nonce, value=FIL))
    node.mempool.push(signed(node, QUIET, BUSY.address, nonce=0, value=1))
    with Service(node, mining="paused") as service:
        yield service.url
    node.close()


@pytest.fixture
def ann(url: str) -> Client:
    nodes_sync([url])
    nodes_probe(now=now())
    person("ann", of="alice")
    client = Client()
    assert client.login(username="ann", password=PASSWORD)
    return client


def test_the_pool_lists_senders_with_most_messages_first(ann):
    factories.wallet(str(QUIET.address), of="alice", label="our worker")

    html = ann.get("/chain/mempool/").content.decode()

    assert f"{ROWS + 3} messages pending from 2 senders." in html
    assert html.index(str(BUSY.address)) < html.index("our worker")
    assert f"0 to {ROWS + 1}" in html


def test_a_senders_messages_are_decoded_and_come_in_pages(ann):
    first = ann.get(f"/chain/mempool/{BUSY.address}/").content.decode()

    assert first.count("waiting for a block") == ROWS
    assert "Send" in first
    older = first.partition('rel="next" href="')[2].partition('"')[0]
    assert (
        ann.get(f"/chain/mempool/{BUSY.address}/{older}").content.decode().count("waiting for a block") == 2
    )


def test_a_cap_under_the_base_fee_is_told(ann):
    factories.head(1000, base_fee=10**15)

    html = ann.get(f"/chain/mempool/{QUIET.address}/").content.decode()

    assert "fee cap below base fee" in html
    assert "1 message cannot pay it" in html


def test_a_sender_without_messages_has_an_empty_page(ann):
    assert "No messages pending" in ann.get("/chain/mempool/f01234/").content.decode()


def test_without_a_node_the_pool_says_why(ann):
    Node.objects.update(is_enabled=False)

    assert "The message pool is unavailable:" in ann.get("/chain/mempool/").content.decode()


def test_the_page_counts_down_to_the_next_upgrade(ann):
    factories.head(1000)
    row = Network.objects.get()
    row.params["ForkUpgradeParams"] = {
        "UpgradePastHeight": 5,
        "UpgradeSoonHeight": 1060,
        "UpgradeUndatedHeight": 9_999_999_999,
        "BreezeGasTampingDuration": 5000,
    }
    row.save()

    html = ann.get("/chain/").content.decode()

    assert "Upgrade Soon" in html
    assert "Past" not in html
    assert "Undated" not in html
    facts = html.partition('id="f-network"')[2].partition("</section>")[0]
    assert "in " in facts.partition("Upgrade Soon")[2]


def test_without_an_announced_upgrade_the_page_says_so(ann):
    factories.head(1000)

    assert "none announced by the nodes" in ann.get("/chain/").content.decode()
