"""Fault injection and the message pool before a real devnet, as an operator sees them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from apps.chain.models import Head
from apps.chain.node.client import chain_client
from apps.chain.services.heads import head_follow
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.core.clock import now
from apps.users.models import User
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from poolsite.filecoin.amounts import FIL
from tests.browser.axe import findings
from tests.browser.conftest import Visit
from tests.browser.fault_injection import looks_well
from tests.unit.devnet.people import person, signed

SENDER, OTHER = person("browser sender"), person("browser other")


@pytest.fixture
def devnet(transactional_db: None) -> Iterator[Devnet]:
    funds = {who.address: 100 * FIL for who in (SENDER, OTHER)}
    node = Devnet(":memory:", network="test", clock=ManualClock(), funds=funds)
    node.mine(3)
    node.mempool.push(signed(node, OTHER, SENDER.address, value=FIL))
    node.mine(2)
    for nonce in range(3):
        node.mempool.push(signed(node, SENDER, OTHER.address, nonce=nonce, value=FIL))
    with Service(node, mining="paused") as service:
        node.faults.mining = "auto"
        nodes_sync([service.url])
        nodes_probe(now=now())
        client = chain_client()
        network_bind(client)
        head_follow(client=client, facts=client.chain_head(), now=now())
        yield node
    node.close()


def test_an_operator_turns_a_knob_and_undoes_it(visit: Visit, operator: User, devnet: Devnet) -> None:
    page = visit(operator).go("/chain/")
    page.page.get_by_role("link", name="Fault injection").first.click()
    expect(page.see("h1")).to_have_text("Fault injection")
    page.wait_live()

    page.see("#value-lagMs").fill("1")
    page.page.get_by_role("button", name="Set Lag", exact=True).click()
    expect(page.see("#undo-lagMs")).to_be_visible()
    assert devnet.faults.settings.lag_ms == 1
    looks_well(page, "fault-injection")

    page.page.set_viewport_size({"width": 1440, "height": 900})
    page.see("#undo-lagMs").click()
    expect(page.see("#undo-lagMs")).to_have_count(0)
    assert devnet.faults.settings.lag_ms == 0


def test_a_refused_value_stands_at_its_knob(visit: Visit, operator: User, devnet: Devnet) -> None:
    page = visit(operator).go("/fault-injection/")

    page.see("#value-dropShare").fill("much")
    page.page.get_by_role("button", name="Set Drop a share").click()

    expect(page.see("#fault-dropShare [role=alert]")).to_contain_text("must be a number")
    assert findings(page) == []


def test_the_chain_is_moved_by_a_button(visit: Visit, operator: User, devnet: Devnet) -> None:
    page = visit(operator).go("/fault-injection/")
    height = devnet.head.height
    before = page.see("#f-fault-injection-facts").inner_text().partition("Height")[2].split()[0]

    page.see("#mine-count").fill("3")
    page.see("#action-mine").click()

    expect(page.see("#f-fault-injection-facts dd").nth(1)).not_to_have_text(before)
    assert devnet.head.height >= height + 3


def test_the_message_pool_and_a_sender_fit_and_have_no_findings(
    visit: Visit, operator: User, devnet: Devnet
) -> None:
    page = visit(operator).go("/chain/")
    looks_well(page, "chain")
    page.page.set_viewport_size({"width": 1440, "height": 900})
    page.page.get_by_role("link", name="Message pool").click()
    expect(page.see("h1")).to_have_text("Message pool")
    looks_well(page, "mempool")
    page.page.set_viewport_size({"width": 1440, "height": 900})
    page.page.get_by_role("link", name=str(SENDER.address)).click()
    expect(page.see("h1")).to_have_text("Sender")
    looks_well(page, "sender")


def test_a_tipset_shows_its_messages_with_their_receipts(
    visit: Visit, operator: User, devnet: Devnet
) -> None:
    included = Head.objects.order_by("-height")[1]
    page = visit(operator).go("/chain/")

    page.see(f'a[href="/chain/{included.height}/"]').click()

    row = page.see("tbody tr").filter(has_text=str(OTHER.address))
    expect(row).to_contain_text("Send")
    expect(row).to_contain_text("1.0000")
    expect(row).to_contain_text("ok")
    looks_well(page, "tipset")
