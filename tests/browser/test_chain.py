"""The page Chain as an operator walks it: nodes come, are tested, promoted and switched; tipsets, reorgs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from apps.chain.models import Head, Node
from apps.chain.node.client import chain_client
from apps.chain.services.heads import head_follow
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.core.clock import now
from apps.users.models import User
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.forks import reorg
from poolsite.devnet.node import Devnet
from poolsite.devnet.replica import Replica
from poolsite.devnet.service import Service
from poolsite.filecoin.amounts import FIL
from tests.browser.conftest import Visit
from tests.browser.fault_injection import looks_well
from tests.people import PASSWORD
from tests.unit.devnet.people import person, signed

SENDER, OTHER = person("walker"), person("walked to")


@pytest.fixture
def devnet(transactional_db: None) -> Iterator[Devnet]:
    node = Devnet(":memory:", network="test", clock=ManualClock(), funds={SENDER.address: 100 * FIL})
    node.mine(3)
    node.mempool.push(signed(node, SENDER, OTHER.address, value=FIL))
    node.mine(2)
    yield node
    node.close()


@pytest.fixture
def nodes(devnet: Devnet) -> Iterator[tuple[Service, Service]]:
    """The pool's first node, and another one on the same chain that wants a token."""
    second = Devnet(":memory:", clock=ManualClock(), bundle=devnet.genesis_bundle())
    with (
        Service(devnet, mining="paused") as one,
        Service(second, mining="paused") as other,
        Replica(second, one.url),
    ):
        moment_wait(lambda: second.head.key == devnet.head.key)
        nodes_sync([one.url])
        nodes_probe(now=now())
        network_bind(chain_client())
        follow()
        yield one, other
    second.close()


def moment_wait(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another thread does."""
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never held")


def follow() -> None:
    client = chain_client()
    head_follow(client=client, facts=client.chain_head(), now=now())


def test_an_operator_adds_tests_promotes_and_switches_nodes(
    visit: Visit, operator: User, nodes: tuple[Service, Service]
) -> None:
    _, other = nodes
    host, port = other.address
    token = other.node.access.token_new(["read", "write", "sign", "admin"])
    page = visit(operator).go("/chain/")
    page.page.get_by_role("link", name="Add a node").click()

    page.see("#url").fill(f"nonsense:/ip4/{host}/tcp/{port}/http")
    page.page.get_by_role("button", name="Test").click()
    page.see("#confirm-password").fill(PASSWORD)
    page.page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.see("#url-error")).to_be_visible()
    page.see("#url").fill(f"{token}:/ip4/{host}/tcp/{port}/http")
    page.page.get_by_role("button", name="Test").click()
    expect(page.see("main")).to_contain_text("Node is reachable.")
    looks_well(page, "chain-add")
    page.see("#name").fill("second")
    page.page.get_by_role("button", name="Add", exact=True).click()

    expect(page.see("h1")).to_have_text("Chain")
    added = Node.objects.get(name="second")
    row = page.see(f"#f-node-{added.pk}")
    expect(row).to_contain_text("healthy")
    assert token not in page.page.content(), "the token is shown nowhere"
    row.get_by_role("button", name="Promote").click()
    expect(page.see(f"#f-node-{added.pk}")).to_contain_text("weight 2")
    page.see(f"#f-node-{added.pk}").get_by_role("button", name="Disable").click()
    expect(page.see(f"#f-node-{added.pk}").get_by_role("button", name="Enable")).to_be_visible()


def test_a_reorg_stands_in_the_log_and_tipsets_are_walked(
    visit: Visit, operator: User, devnet: Devnet, nodes: tuple[Service, Service]
) -> None:
    page = visit(operator).go("/chain/")
    lost = devnet.head
    reorg(devnet, 2)
    follow()

    expect(page.see("section[aria-labelledby=h-reorgs]")).to_contain_text(str(lost.height))
    looks_well(page, "chain")
    page.see("#find-height").fill(str(lost.height - 1))
    page.page.get_by_role("button", name="Show tipset").click()
    expect(page.see("h1")).to_contain_text("Tipset")
    shown = int(page.see("h1").inner_text().split()[1])
    page.page.get_by_role("link", name="Older").click()
    expect(page.see("h1")).not_to_have_text(f"Tipset {shown}")
    assert Head.objects.filter(is_canonical=False).count() == 2
