"""The page Devnet lab before a real devnet: it turns knobs, moves the chain, and exists nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from django.test import Client

from apps.chain.lab import KNOBS
from apps.chain.models import Node
from apps.chain.services import nodes_probe, nodes_sync
from apps.chain.services.lab import ACTS
from apps.core.clock import now
from apps.dashboard.fragments import frame_render
from apps.dashboard.lines.lab import ACT_WORDS, PARTS
from apps.users.models import AuditEntry
from apps.users.principals import SYSTEM
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.faults import Faults
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from tests.people import PASSWORD, operator_person, person
from tests.tinynode import TinyNode, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpResponse

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
    with served(TinyNode()) as url:
        nodes_sync([url])
        nodes_probe(now=now())

        assert not Node.objects.get().is_devnet
        assert operator.get("/lab/").status_code == 404
        assert "Devnet lab" not in operator.get("/chain/").content.decode()


def test_the_operator_finds_the_lab_in_the_navigation(operator, devnet):
    assert 'href="/lab/"' in operator.get("/chain/").content.decode()

    html = operator.get("/lab/").content.decode()

    assert "The node behaves." in html
    assert "localnet-poolsite-test" in html


def test_a_tenant_has_no_lab(tenant, devnet):
    assert "Devnet lab" not in tenant.get("/chain/").content.decode()
    assert tenant.get("/lab/").status_code == 404
    assert tenant.get(f"/lab/{pk()}/").status_code == 404
    for path in ("reset/", "knob/lagMs/", "act/mine/"):
        assert tenant.post(f"/lab/{pk()}/{path}", {"value": "1", "count": "1"}).status_code == 404
    assert devnet.faults.knobs.lag_ms == 0


def test_every_knob_of_the_devnet_is_on_the_page_with_its_quiet_value(operator, devnet):
    assert Faults(devnet.store, devnet.shown_frozen).to_json() == KNOBS
    assert {name for knobs in PARTS.values() for name in knobs} == set(KNOBS)
    assert set(ACT_WORDS) == set(ACTS)

    html = operator.get("/lab/").content.decode()

    for name in KNOBS:
        assert f'id="knob-{name}"' in html


@pytest.mark.parametrize(
    ("knob", "text", "value"),
    [
        ("lagMs", "5", 5),
        ("dropShare", "0.25", 0.25),
        ("hideMessages", "on", True),
        ("mining", "paused", "paused"),
        ("errorMethods", "MpoolPush$", "MpoolPush$"),
    ],
)
def test_a_knob_is_turned_shown_noted_and_undone(operator, devnet, knob, text, value):
    answer = operator.post(f"/lab/{pk()}/knob/{knob}/", {"value": text}, headers=HTMX)

    assert answer.status_code == 200
    assert devnet.faults.to_json()[knob] == value
    assert f'id="undo-{knob}"' in answer.content.decode()
    entry = AuditEntry.objects.get(action="lab.set")
    assert (entry.before, entry.after) == ({knob: KNOBS[knob]}, {knob: value})
    assert "olga" in entry.actor

    undone = operator.post(f"/lab/{pk()}/knob/{knob}/", {"value": undo_value(answer, knob)}, headers=HTMX)

    assert f'id="undo-{knob}"' not in undone.content.decode()
    assert devnet.faults.to_json() == KNOBS


def undo_value(answer: HttpResponse, knob: str) -> str:
    form = answer.content.decode().partition(f'id="undo-{knob}"')[0].rpartition('name="value" value="')[2]
    return form.partition('"')[0]


@pytest.mark.parametrize(
    ("knob", "text", "words"),
    [
        ("lagMs", "soon", "a whole number is needed"),
        ("lagMs", "-1", "must not be negative"),
        ("dropShare", "much", "a number is needed"),
        ("hideMessages", "maybe", "on or off is needed"),
        ("mining", "sometimes", "mining must be auto, on-demand or paused"),
        ("errorMethods", "(", "errorMethods"),
    ],
)
def test_a_bad_value_is_refused_at_its_knob(operator, devnet, knob, text, words):
    answer = operator.post(f"/lab/{pk()}/knob/{knob}/", {"value": text}, headers=HTMX)

    assert answer.status_code == 422
    row = answer.content.decode().partition(f'id="knob-{knob}"')[2].partition("</tr>")[0]
    assert words in row
    assert devnet.faults.to_json() == KNOBS
    assert not AuditEntry.objects.exists()


def test_all_knobs_are_turned_back_at_once(operator, devnet):
    devnet.faults.knobs = replace(devnet.faults.knobs, lag_ms=1, network_name="mainnet", drop_next=3)

    answer = operator.post(f"/lab/{pk()}/reset/")

    assert answer.status_code == 302
    assert devnet.faults.to_json() == KNOBS
    entry = AuditEntry.objects.get(action="lab.reset")
    assert entry.before == {"lagMs": 1, "networkName": "mainnet", "dropNext": 3}


def test_the_chain_is_moved_from_the_page(operator, devnet):
    height = devnet.head.height
    operator.post(f"/lab/{pk()}/act/mine/", {"count": "2"})
    mined = devnet.head
    assert mined.height >= height + 2

    operator.post(f"/lab/{pk()}/act/advance/", {"epochs": "4"})
    assert devnet.head.height >= mined.height + 4

    operator.post(f"/lab/{pk()}/act/back/", {"depth": "1"})
    operator.post(f"/lab/{pk()}/act/reorg/", {"depth": "2", "nulls": "1", "messages": "on"})
    operator.post(f"/lab/{pk()}/act/drop-sockets/")

    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "after"))
    assert actions == [
        ("lab.mine", [2]),
        ("lab.advance", [4]),
        ("lab.back", [1]),
        ("lab.reorg", [2, 1, True]),
        ("lab.drop-sockets", []),
    ]


def test_faults_that_travel_on_chain_are_sent_from_the_page(operator, devnet):
    who = str(devnet.wallet.default)

    operator.post(f"/lab/{pk()}/act/foreign/", {"address": who, "messages": "2"})
    operator.post(f"/lab/{pk()}/act/foreign/", {"address": "", "messages": "1"})
    operator.post(f"/lab/{pk()}/act/fail-next/", {"method": "16", "code": "19", "messages": "3"})
    operator.post(f"/lab/{pk()}/act/drain/", {"address": "f090", "fil": "5"})

    assert len(devnet.mempool.pending_of(devnet.wallet.default)) == 5
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "after"))
    assert actions == [
        ("lab.foreign", [who, 2]),
        ("lab.foreign", ["", 1]),
        ("lab.fail-next", [16, 19, 3]),
        ("lab.drain", ["f090", 5]),
    ]
    devnet.mine(2)


@pytest.mark.parametrize(
    ("act", "form", "words"),
    [
        ("drain", {"address": "nobody", "fil": "5"}, "no address"),
        ("drain", {"address": "f0999999", "fil": "5"}, "no actor"),
        ("fail-next", {"method": "16", "code": "0", "messages": "3"}, "from 1 to 999"),
        ("mine", {"count": "0"}, "from 1 to 500"),
        ("mine", {"count": "x"}, "a whole number is needed"),
        ("reorg", {"depth": "199", "nulls": "0"}, ""),
    ],
)
def test_an_act_that_cannot_be_done_is_refused_where_the_click_was(operator, devnet, act, form, words):
    head = devnet.head.tipset.key

    answer = operator.post(f"/lab/{pk()}/act/{act}/", form, headers=HTMX)

    assert answer.status_code == 422
    line = answer.content.decode().partition(f'id="act-{act}"')[0].rpartition("<li>")[2]
    assert 'role="alert"' in line
    assert words in line
    assert devnet.head.tipset.key == head


def test_the_facts_follow_a_change_without_touching_the_forms(operator, devnet):
    devnet.faults.knobs = replace(devnet.faults.knobs, lag_ms=7)

    html = frame_render({("node", str(pk()))}, viewer=SYSTEM, page=f"lab:{pk()}")

    assert "Lag: 7" in html
    assert "1 knob turned." in html
    assert "<form" not in html


def test_a_devnet_that_is_gone_is_said_to_be(operator, devnet):
    Node.objects.update(url="http://127.0.0.1:9/rpc/v1")

    answer = operator.get("/lab/")

    assert answer.status_code == 200
    assert "does not answer" in answer.content.decode()
