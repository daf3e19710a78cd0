"""Owner and beneficiary are addresses that no reorganisation gives to another key."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.core.errors import BadValue
from apps.messages.models import Receiver
from apps.miners.selectors import address_lookups
from apps.miners.selectors.addresses import MinerAddresses
from apps.miners.services.address_change_messages import AddressRequest, change_message_build
from poolsite.filecoin.policy import network_by_name
from tests import factories

FINALITY = 900
ETHEREUM = "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa"
"""What a node answers for the key of an Ethereum account, and of a contract."""
NOW = MinerAddresses(
    owner="f0100",
    worker="f0101",
    control=(),
    beneficiary="f0100",
    quota=0,
    used_quota=0,
    expiration=0,
    new_worker="",
    worker_epoch=0,
    pending_owner="",
    pending_beneficiary=None,
    peer_id="",
    multiaddrs=(),
)


class Chain:
    """A chain that has an address since an epoch, as a node tells it."""

    def __init__(self, *, since: int, reason: str = "resolution lookup failed: actor not found") -> None:
        self.since, self.reason = since, reason
        self.key = factories.bls(1)

    def state_lookup_id(self, _address: str) -> str:
        return "f01234"

    def state_account_key(self, _address: str) -> str:
        return self.key

    def chain_head(self) -> Any:
        return SimpleNamespace(key="head")

    def chain_get_tipset_by_height(self, height: int, key: str) -> Any:
        assert key == "head"
        return SimpleNamespace(key=str(height))

    def state_get_actor(self, address: str, key: str) -> None:
        assert address == "f01234"
        if int(key) < self.since:
            raise NodeRefused(1, self.reason)


@pytest.fixture(autouse=True)
def finality(monkeypatch: pytest.MonkeyPatch) -> None:
    network = replace(network_by_name("mainnet"), chain_finality=FINALITY)
    monkeypatch.setattr(address_lookups, "network_current", lambda: network)


def build(change: str, chain: Chain, *, height: int) -> str:
    request = AddressRequest(change=change, addresses=("f01234",), quota=1, expiration=10**6)
    return change_message_build(request, now=NOW, client=cast("ChainClient", chain), height=height)[3]


@pytest.mark.parametrize("change", ["owner", "beneficiary"])
def test_an_address_younger_than_a_finality_is_refused(change: str) -> None:
    with pytest.raises(BadValue, match="less than 900 epochs ago") as refused:
        build(change, Chain(since=4_101), height=5_000)

    assert refused.value.field == "addresses"
    assert refused.value.reason.endswith("try again at epoch 5900")


@pytest.mark.parametrize("change", ["owner", "beneficiary"])
@pytest.mark.parametrize(("since", "height"), [(4_100, 5_000), (899, 900)], ids=["final", "young chain"])
def test_an_address_as_old_as_it_can_be_is_proposed(change: str, since: int, height: int) -> None:
    assert "f01234 is proposed" in build(change, Chain(since=since), height=height)


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["owner", "beneficiary", "control"])
def test_an_ethereum_account_is_refused_as_it_could_not_confirm(change: str) -> None:
    chain = Chain(since=100)
    chain.key = ETHEREUM

    with pytest.raises(BadValue, match="f01234 is an Ethereum key") as refused:
        build(change, chain, height=5_000)

    assert refused.value.field == "addresses"


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["owner", "beneficiary", "control"])
def test_a_contract_is_proposed_though_its_address_is_of_that_form(change: str) -> None:
    chain = Chain(since=100)
    chain.key = ETHEREUM
    Receiver.objects.create(address="f01234", kind="evm", code=factories.cid("evm"))

    assert "f01234" in build(change, chain, height=5_000)


def test_what_a_node_without_old_states_says_is_passed_on() -> None:
    with pytest.raises(NodeRefused, match="no state"):
        build("owner", Chain(since=10**6, reason="no state at that tipset"), height=5_000)
