"""The page Fault injection before a real devnet: it sets faults and moves the chain; only devnets have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.http import HttpResponse
from django.test import Client

from apps.chain.models import Node
from apps.chain.node.devnet import FAULT_DEFAULTS
from apps.chain.services.fault_injection import ACTIONS
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.pages.fault_injection.page import ACTION_LABELS, PARTS
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.faults import Faults
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from tests.fake_node import FakeNode, served
from tests.people import PASSWORD, operator_person, person

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture(scope="module")
def chain() -> Iterator[tuple[Devnet, str]]:
    node = Devnet(":memory:", network="test", clock=ManualClock())
    node.mine(3)
    with Service(node, mining="paused") as service:
        yield node, service.url
    node.close()


@pytest.fixture
def devnet(chain: tuple[Devnet, str]) -> Iterator[Devnet]:
    node, url = chain
    nodes_sync([url])
    nodes_probe(now=now())
    node.faults.mining = "auto"  # the quiet value; only Mine and Advance move a manual clock
    yield node
    node.faults.reset()


@pytest.fixture
def operator() -> Client:
    operator_person("olga")
    client = Client()
    assert client.login(username="olga", password=PASSWORD)
    return client


@pytest.fixture
def tenant() -> Client:
    person("ann")
    client = Client()
    assert client.login(username="ann", password=PASSWORD)
    return client


def pk() -> int:
    return Node.objects.get().pk


def test_a_devnets_node_is_told_apart_by_its_probe(devnet):
    assert Node.objects.get().is_devnet


def test_the_page_and_its_entry_exist_only_where_a_node_is_a_devnets(operator):
    with served(FakeNode()) as url:
        nodes_sync([url])
        nodes_probe(now=now())

        assert not Node.objects.get().is_devnet
        assert operator.get("/fault-injection/").status_code == 404
        assert "Fault injection" not in operator.get("/chain/").content.decode()


def test_operator_navigation_has_fault_injection(operator, devnet):
    assert 'href="/fault-injection/"' in operator.get("/chain/").content.decode()

    html = operator.get("/fault-injection/").content.decode()

    assert "Node running normally." in html
    assert "localnet-poolsite-test" in html


def test_a_tenant_has_no_fault_injection(tenant, devnet):
    assert "Fault injection" not in tenant.get("/chain/").content.decode()
    assert tenant.get("/fault-injection/").status_code == 404
    assert tenant.get(f"/fault-injection/{pk()}/").status_code == 404
    for path in ("reset/", "set/lagMs/", "act/mine/"):
        assert tenant.post(f"/fault-injection/{pk()}/{path}", {"value": "1", "count": "1"}).status_code == 404
    assert devnet.faults.settings.lag_ms == 0


def test_every_knob_of_the_devnet_is_on_the_page_with_its_quiet_value(operator, devnet):
    assert Faults(devnet.store, devnet.head_freeze).to_json() == FAULT_DEFAULTS
    assert {name for faults in PARTS.values() for name in faults} == set(FAULT_DEFAULTS)
    assert set(ACTION_LABELS) == set(ACTIONS)

    html = operator.get("/fault-injection/").content.decode()

    for name in FAULT_DEFAULTS:
        assert f'id="fault-{name}"' in html


@pytest.mark.parametrize(
    ("fault", "text", "value"),
    [
        ("lagMs", "5", 5),
        ("dropShare", "0.25", 0.25),
        ("hideMessages", "on", True),
        ("mining", "paused", "paused"),
        ("errorMethods", "MpoolPush$", "MpoolPush$"),
    ],
)
def test_a_fault_is_set_shown_audited_and_undone(operator, devnet, fault, text, value):
    answer = operator.post(f"/fault-injection/{pk()}/set/{fault}/", {"value": text}, headers=HTMX)

    assert answer.status_code == 200
    assert devnet.faults.to_json()[fault] == value
    assert f'id="undo-{fault}"' in answer.content.decode()
    entry = AuditEntry.objects.get(action="devnet.set_faults")
    assert (entry.before, entry.after) == ({fault: FAULT_DEFAULTS[fault]}, {fault: value})
    assert "olga" in entry.actor

    undone = operator.post(
        f"/fault-injection/{pk()}/set/{fault}/", {"value": undo_value(answer, fault)}, headers=HTMX
    )

    assert f'id="undo-{fault}"' not in undone.content.decode()
    assert devnet.faults.to_json() == FAULT_DEFAULTS


def undo_value(answer: HttpResponse, fault: str) -> str:
    form = answer.content.decode().partition(f'id="undo-{fault}"')[0].rpartition('name="value" value="')[2]
    return form.partition('"')[0]


@pytest.mark.parametrize(
    ("fault", "text", "words"),
    [
        ("lagMs", "soon", "must be a whole number"),
        ("lagMs", "-1", "must not be negative"),
        ("dropShare", "much", "must be a number"),
        ("hideMessages", "maybe", "must be on or off"),
        ("mining", "sometimes", "mining must be auto, on-demand or paused"),
        ("errorMethods", "(", "errorMethods"),
    ],
)
def test_a_bad_value_is_refused_at_its_fault(operator, devnet, fault, text, words):
    answer = operator.post(f"/fault-injection/{pk()}/set/{fault}/", {"value": text}, headers=HTMX)

    assert answer.status_code == 422
    row = answer.content.decode().partition(f'id="fault-{fault}"')[2].partition("</tr>")[0]
    assert words in row
    assert devnet.faults.to_json() == FAULT_DEFAULTS
    assert not AuditEntry.objects.exists()


def test_all_faults_are_reset_at_once(operator, devnet):
    devnet.faults.settings = replace(devnet.faults.settings, lag_ms=1, network_name="mainnet", drop_next=3)

    answer = operator.post(f"/fault-injection/{pk()}/reset/")

    assert answer.status_code == 302
    assert devnet.faults.to_json() == FAULT_DEFAULTS
    entry = AuditEntry.objects.get(action="devnet.reset_faults")
    assert entry.before == {"lagMs": 1, "networkName": "mainnet", "dropNext": 3}


def test_the_chain_is_moved_from_the_page(operator, devnet):
    height = devnet.head.height
    operator.post(f"/fault-injection/{pk()}/action/mine/", {"count": "2"})
    mined = devnet.head
    assert mined.height >= height + 2

    operator.post(f"/fault-injection/{pk()}/action/advance/", {"epochs": "4"})
    assert devnet.head.height >= mined.height + 4

    operator.post(f"/fault-injection/{pk()}/action/back/", {"depth": "1"})
    operator.post(f"/fault-injection/{pk()}/action/reorg/", {"depth": "2", "nulls": "1", "messages": "on"})
    operator.post(f"/fault-injection/{pk()}/action/drop-sockets/")

    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "after"))
    assert actions == [
        ("devnet.mine", [2]),
        ("devnet.advance", [4]),
        ("devnet.back", [1]),
        ("devnet.reorg", [2, 1, True]),
        ("devnet.drop-sockets", []),
    ]


def test_faults_that_travel_on_chain_are_sent_from_the_page(operator, devnet):
    who = str(devnet.wallet.default)

    operator.post(f"/fault-injection/{pk()}/action/foreign/", {"address": who, "messages": "2"})
    operator.post(f"/fault-injection/{pk()}/action/foreign/", {"address": "", "messages": "1"})
    operator.post(
        f"/fault-injection/{pk()}/action/fail-next/", {"method": "16", "code": "19", "messages": "3"}
    )
    operator.post(f"/fault-injection/{pk()}/action/drain/", {"address": "f090", "fil": "5"})

    assert len(devnet.mempool.pending_of(devnet.wallet.default)) == 5
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "after"))
    assert actions == [
        ("devnet.foreign", [who, 2]),
        ("devnet.foreign", ["", 1]),
        ("devnet.fail-next", [16, 19, 3]),
        ("devnet.drain", ["f090", 5]),
    ]
    devnet.mine(2)


@pytest.mark.parametrize(
    ("act", "form", "words"),
    [
        ("drain", {"address": "nobody", "fil": "5"}, "not an address"),
        ("drain", {"address": "f0999999", "fil": "5"}, "does not exist"),
        ("fail-next", {"method": "16", "code": "0", "messages": "3"}, "from 1 to 999"),
        ("mine", {"count": "0"}, "from 1 to 500"),
        ("mine", {"count": "x"}, "must be a whole number"),
        ("reorg", {"depth": "199", "nulls": "0"}, ""),
    ],
)
def test_an_act_that_cannot_be_done_is_refused_where_the_click_was(operator, devnet, act, form, words):
    head = devnet.head.tipset.key

    answer = operator.post(f"/fault-injection/{pk()}/action/{act}/", form, headers=HTMX)

    assert answer.status_code == 422
    line = answer.content.decode().partition(f'id="action-{act}"')[0].rpartition("<li>")[2]
    assert 'role="alert"' in line
    assert words in line
    assert devnet.head.tipset.key == head


def test_the_facts_follow_a_change_without_touching_the_forms(operator, devnet):
    devnet.faults.settings = replace(devnet.faults.settings, lag_ms=7)

    html = fragments_render({("node", str(pk()))}, viewer=SYSTEM, page=f"fault-injection:{pk()}")

    assert "Lag: 7" in html
    assert "1 fault active." in html
    assert "<form" not in html


def test_a_devnet_that_is_gone_is_said_to_be(operator, devnet):
    Node.objects.update(url="http://127.0.0.1:9/rpc/v1")

    answer = operator.get("/fault-injection/")

    assert answer.status_code == 200
    assert "does not respond" in answer.content.decode()
