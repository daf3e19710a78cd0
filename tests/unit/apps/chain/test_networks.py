"""Networks that no table has: their rules come from the node, from one setting, or they are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from apps.chain.errors import NetworkUnknown
from apps.chain.heads.follow import ChainFollower
from apps.chain.heads.steps import Steps
from apps.chain.models import Head, Network, Node
from apps.chain.node.client import ChainClient
from apps.chain.node.link import link_to
from apps.chain.selectors.network import network_current
from apps.chain.selectors.nodes import nodes_for_reading
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.chain.states import NodeCondition
from apps.core import clock
from apps.core.errors import Conflict
from apps.core.liveness import heartbeat_send
from apps.messages.services.publish import publishing_nodes_list
from apps.miners.services.network_unbind import network_unbind
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests import factories, people
from tests.fake_node import FakeNode, Refusal, served
from tests.page_client import signed_in, text_of
from tests.people import operator_person
from tests.unit.filecoin.golden.files import load

pytestmark = pytest.mark.django_db
LOCAL = "localnet-6b0f8a1e-55c5-4f0e-9e0a-0a4f5a1b2c3d"


def recorded(method: str, note: str) -> dict[str, Any]:
    """What a real lotus devnet answered."""
    for entry in load("lotus/golden_rpc"):
        if f'"Filecoin.{method}"' in entry["request"] and entry["note"] == note:
            answer: dict[str, Any] = json.loads(entry["response"])["result"]
            return answer
    raise LookupError(method)


class LotusNode(FakeNode):
    """A node that tells what a real lotus devnet tells, under the name that each such one makes up."""

    has_miner = True

    def do_StateGetNetworkParams(self) -> Any:
        return recorded("StateGetNetworkParams", "StateGetNetworkParams") | {"NetworkName": self.network}

    def do_StateListMiners(self, _key: Any) -> Any:
        return ["t01000"] if self.has_miner else None

    def do_StateMinerInfo(self, _miner: str, _key: Any) -> Any:
        if not self.has_miner:
            raise Refusal("failed to load miner actor: actor not found")
        return recorded("StateMinerInfo", "2k miner")

    def do_StateMinerProvingDeadline(self, _miner: str, _key: Any) -> Any:
        return recorded("StateMinerProvingDeadline", "2k miner")


def client_of(url: str) -> ChainClient:
    return ChainClient([link_to(url, "")])


@pytest.fixture
def lotus() -> Iterator[tuple[LotusNode, str]]:
    node = LotusNode(network=LOCAL)
    with served(node) as url:
        yield node, url


@pytest.mark.parametrize("mined", [0, 2])
def test_a_lotus_devnet_tells_its_own_rules(lotus: tuple[LotusNode, str], mined: int) -> None:
    node, url = lotus
    for _ in range(mined):
        node.mine()

    network_bind(client_of(url))

    rules = network_current()
    assert (rules.name, rules.epoch_s, rules.network_version) == (LOCAL, 4, 28)
    assert {int(proof.sector_size) for proof in rules.seal_proofs} == {2048}
    assert (rules.proving.deadlines, rules.proving.window, rules.proving.fault_cutoff) == (48, 60, 70)


def test_what_nobody_tells_is_refused_before_anything_is_bound(
    lotus: tuple[LotusNode, str], settings: Any
) -> None:
    node, url = lotus
    node.has_miner = False
    settings.CHAIN_URLS = [url]
    operator_person()

    with pytest.raises(NetworkUnknown, match="SupportedProofTypes: set NETWORK_PARAMS"):
        network_bind(client_of(url))
    nodes_sync([url])
    nodes_probe(now=clock.now())
    with pytest.raises(CommandError, match="SupportedProofTypes: set NETWORK_PARAMS"):
        call_command("network")

    assert not Network.objects.exists()
    assert Node.objects.get().condition == NodeCondition.RULES_MISSING
    assert nodes_for_reading() == []
    assert publishing_nodes_list() == []
    today = text_of(signed_in("olga").get("/"))
    assert "SupportedProofTypes: set NETWORK_PARAMS" in today
    assert "the network parameters of node" in today
    assert "on another network" not in today


def test_known_secrets_are_for_devnets_alone(lotus: tuple[LotusNode, str], settings: Any) -> None:
    node, url = lotus
    settings.CHAIN_URLS = [url]
    call_command("network", refuse_public=True)

    node.network = "calibrationnet"
    with pytest.raises(CommandError, match="forge proofs, and the network is calibrationnet: unset it"):
        call_command("network", refuse_public=True)

    settings.CHAIN_URLS = []
    with pytest.raises(CommandError, match="no node reports its network"):
        call_command("network", refuse_public=True)


def test_the_setting_says_what_the_node_does_not(lotus: tuple[LotusNode, str], settings: Any) -> None:
    node, url = lotus
    node.has_miner = False
    settings.NETWORK_PARAMS = {"SupportedProofTypes": [5], "ChainFinality": 30, "BlockDelaySecs": 99}

    network_bind(client_of(url))

    rules = network_current()
    assert (rules.chain_finality, rules.epoch_s) == (30, 4)  # what the node does tell wins


def test_a_follower_survives_a_network_without_rules(
    lotus: tuple[LotusNode, str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, url = lotus
    node.has_miner = False
    monkeypatch.setattr("apps.chain.heads.follow.HeadListener.start", lambda _self: None)
    monkeypatch.setattr("apps.chain.heads.follow.HeadListener.stop", lambda _self: None)
    monkeypatch.setattr("apps.chain.heads.follow.NodeWatch.start", lambda _self: None)
    monkeypatch.setattr("apps.chain.heads.follow.NodeWatch.stop", lambda _self: None)
    settings.CHAIN_URLS = [url]
    follower = ChainFollower(steps=Steps(send=lambda *_args, **_kwargs: None))

    follower.turn()

    assert not follower.is_bound
    assert not Network.objects.exists()


def test_pages_answer_where_the_rules_of_the_bound_network_are_not_known() -> None:
    Network.objects.create(pk=1, name=LOCAL, genesis="genesis", params={"NetworkName": LOCAL})
    operator_person()

    assert Client().get(reverse("login")).status_code == 200
    assert signed_in("olga").get("/").status_code == 200


def test_a_mistaken_binding_is_undone_while_nothing_hangs_on_it(lotus: tuple[LotusNode, str]) -> None:
    factories.head(1000)

    assert network_unbind(principal=SYSTEM) == factories.NETWORK

    assert not Network.objects.exists()
    assert not Head.objects.exists()
    assert network_bind(client_of(lotus[1])).name == LOCAL


def test_a_binding_stays_while_a_miner_or_a_message_hangs_on_it() -> None:
    factories.head(1000)
    message = factories.message("held")
    with pytest.raises(Conflict, match="messages on localnet-poolsite-test"):
        network_unbind(principal=SYSTEM)
    message.delete()
    factories.miner()
    with pytest.raises(Conflict, match="a miner on localnet-poolsite-test"):
        network_unbind(principal=SYSTEM)

    assert Network.objects.exists()
    assert Head.objects.exists()


def test_an_operator_unbinds_on_the_page_after_a_question() -> None:
    factories.head(1000)
    people.person("ann", role="TENANT_ADMIN")
    operator_person()
    olga, page = signed_in("olga"), reverse("chain-unbind")

    assert signed_in("ann").post(page, {"sure": "yes"}).status_code == 404
    assert page in text_of(olga.get(reverse("chain")))
    assert factories.NETWORK in text_of(olga.get(page))
    assert Network.objects.exists()
    assert olga.post(page, {"sure": "yes"}).status_code == 302

    assert not Network.objects.exists()
    entry = AuditEntry.objects.get(action="chain.unbind")
    assert (entry.actor, entry.target) == ("olga", factories.NETWORK)
    assert page not in text_of(olga.get(reverse("chain")))


def test_the_page_offers_no_unbinding_while_a_miner_hangs_on_the_network() -> None:
    factories.head(1000)
    factories.miner()
    operator_person()
    olga, page = signed_in("olga"), reverse("chain-unbind")

    assert page not in text_of(olga.get(reverse("chain")))
    refused = olga.post(page, {"sure": "yes"})

    assert refused.status_code == 422
    assert "the pool has a miner" in text_of(refused)
    assert Network.objects.exists()


def test_an_operator_unbinds_over_rest_and_leaves_a_line() -> None:
    factories.head(1000)
    token = people.operator_token()

    gone = Client().delete("/api/v1/chain/network", headers=people.bearer(token))
    again = Client().delete("/api/v1/chain/network", headers=people.bearer(token))

    assert (gone.status_code, gone.json()) == (200, {"network": factories.NETWORK})
    assert (again.status_code, again.json()["message"]) == (409, "the pool is not bound to a network")
    assert AuditEntry.objects.filter(action="chain.unbind").count() == 1


def test_readiness_says_why_no_network_is_bound(
    lotus: tuple[LotusNode, str], settings: Any, pool_redis: str
) -> None:
    node, url = lotus
    node.has_miner = False
    bare = Client().get("/readyz").json()["network"]
    nodes_sync([url])
    nodes_probe(now=clock.now())
    told = Client().get("/readyz").json()["network"]
    node.has_miner = True
    nodes_probe(now=clock.now())

    assert "the pool has no node" in bare["reason"]
    assert "SupportedProofTypes: set NETWORK_PARAMS" in told["reason"]
    assert url not in told["reason"]
    assert Client().get("/readyz").json()["network"] == {"name": LOCAL, "reason": ""}


def test_a_pool_that_follows_a_chain_is_ready_once_it_is_bound(settings: Any, pool_redis: str) -> None:
    settings.READY_PROCESSES = ["follower"]
    heartbeat_send("follower", pid=7)

    before = Client().get("/readyz")
    factories.head(1000)

    assert (before.status_code, before.json()["waiting_for"]) == (503, [])
    assert Client().get("/readyz").status_code == 200
