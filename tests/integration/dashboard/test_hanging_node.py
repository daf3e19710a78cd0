"""Each page while the only node accepts connections and never answers: shown soon, and it says so."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse

from apps.chain.models import Node
from apps.chain.node import client as node_client
from apps.chain.node.connections import Connections
from tests import factories
from tests.demo_data import Pool, addresses, busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db

BUDGET_S = 0.5
LATE = 1.6
"""A page that waits twice for the budget is above; a request may begin late on a busy machine."""
Requests = list[tuple[float, float]]
SAYS_SO = re.compile(r"no response within 0\.\d s|no node responds")


@pytest.fixture(scope="module")
def pool(module_rows: None) -> Pool:
    """What alice has, and the operator."""
    operator_person()
    return busy_pool()


@pytest.fixture(scope="module")
def reports() -> SharedReports:
    """What the checks find of it."""
    return SharedReports()


@pytest.fixture
def waits(pool: Pool, reports: SharedReports, monkeypatch: pytest.MonkeyPatch) -> Iterator[Requests]:
    """When each request to the node began and is given up, of the page that is asked for."""
    monkeypatch.setattr(REPORT_NOW, reports)
    monkeypatch.setattr(node_client, "PAGE_S", BUDGET_S)
    asked: list[tuple[float, float]] = []
    post, own = Connections.post, threading.get_ident()

    def noted(self: Connections, content: bytes, *, connect_s: float, answer_s: float) -> Any:
        began = time.monotonic()
        if threading.get_ident() == own:  # the page's own, which it waits for
            asked.append((began, began + answer_s))
        return post(self, content, connect_s=connect_s, answer_s=answer_s)

    monkeypatch.setattr(Connections, "post", noted)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as hanging:
        Node.objects.all().delete()
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}/rpc/v1"
        Node.objects.create(name="hangs", url=url, position=0, condition="HEALTHY")
        yield asked


def waited_s(waits: Requests) -> float:
    """Return the seconds from the first request until the last one is given up."""
    return max(until for _, until in waits) - min(began for began, _ in waits)


def that_ask(pool: Pool) -> dict[str, str]:
    """Pages that show what a node says, beside those of every pool."""
    return {
        "mempool": reverse("chain-mempool"),
        "tipset": reverse("chain-tipset", args=[factories.head(1001).height - 1]),
        "miner-withdraw": reverse("miner-withdraw", args=[pool.miner.address]),
        "miner-move-out": reverse("miner-move-out", args=[pool.miner.address]),
        "message-replace": reverse("message-replace", args=[pool.flying.id]),
        "sectors-extend": f"{reverse('sectors-change', args=['extend'])}?id={pool.active.uuid}",
        "messages-raise": f"{reverse('messages-bulk', args=['replace'])}?id={pool.flying.id}",
    }


def test_no_page_waits_longer_for_a_node_than_its_budget(waits: Requests, pool: Pool) -> None:
    operator, asking, silent = signed_in("olga"), {}, []
    for page, address in {**addresses(pool), **that_ask(pool)}.items():
        waits.clear()
        answer = operator.get(address)
        assert answer.status_code < 500, page
        if waits:
            asking[page] = waited_s(waits)
            silent += [page] if SAYS_SO.search(text_of(answer)) is None else []

    assert {page for page, longest_s in asking.items() if longest_s > LATE * BUDGET_S} == set()
    assert {"planner", "miner-addresses", *that_ask(pool)} - asking.keys() == set()
    assert silent == []


def test_a_program_is_told_as_soon(waits: Requests, pool: Pool) -> None:
    operator = signed_in("olga")

    answer = operator.get(f"/api/v1/miners/{pool.miner.address}/addresses")

    assert (answer.status_code, answer.json()["code"]) == (503, "node_unavailable")
    assert SAYS_SO.search(answer.json()["message"]) is not None
    assert waited_s(waits) <= LATE * BUDGET_S
