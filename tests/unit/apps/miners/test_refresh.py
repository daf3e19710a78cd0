"""Miners are read where their state moved, and their deadlines where one of them did."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.miners.models import ChainRoots, Miner
from apps.miners.services.refresh import READ_ALL_EPOCHS, miners_refresh
from poolsite.filecoin.cbor import encode
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.policy import network_by_name
from tests import factories

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
NETWORK = network_by_name("localnet-poolsite-test")
KEY = factories.cid("head")


@dataclass
class Actors:
    """Stands where the client of the nodes is: miners whose states are words."""

    states: dict[str, str] = field(default_factory=dict)
    deadlines: str = "due"
    balance: int = 5
    refused: set[str] = field(default_factory=set)
    is_away: bool = False
    gives_objects: bool = True
    info: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        if self.is_away:
            raise NodeUnavailable("nobody answers")
        self.calls += [method for method, _ in calls]
        return [
            NodeRefused(1, "actor not found")
            if params[0] in self.refused
            else getattr(self, f"do_{method}")(*params)
            for method, params in calls
        ]

    def call(self, method: str, link: dict[str, str]) -> str:
        assert method == "ChainReadObj"
        self.calls.append(method)
        if not self.gives_objects:
            raise NodeRefused(1, "blockstore get: ipld: could not find it")
        assert link == {"/": factories.cid(self.deadlines)}
        return base64.b64encode(encode([[cid_parse(one) for one in self.each()]])).decode()

    def each(self) -> list[str]:
        return [factories.cid(f"{self.deadlines} {at}") for at in range(NETWORK.proving.deadlines)]

    def state_account_key(self, address: str, _key: str) -> str:
        self.calls.append("StateAccountKey")
        return address

    def do_StateGetActor(self, miner: str, _key: Any) -> Any:
        return {"Head": {"/": factories.cid(self.states.get(miner, "first"))}, "Balance": str(self.balance)}

    def do_StateMinerInfo(self, _miner: str, _key: Any) -> Any:
        return {
            "Owner": "f0100",
            "Worker": "f0101",
            "ControlAddresses": None,
            "WindowPoStProofType": 10,
            "SectorSize": 2048,
            "WindowPoStPartitionSectors": 2,
            **self.info,
        }

    def do_StateMinerPower(self, _miner: str, _key: Any) -> Any:
        return {"MinerPower": {"RawBytePower": "1", "QualityAdjPower": "1"}, "HasMinPower": True}

    def do_StateMinerAvailableBalance(self, _miner: str, _key: Any) -> str:
        return "3"

    def do_StateReadState(self, _miner: str, _key: Any) -> Any:
        return {"State": {"Deadlines": {"/": factories.cid(self.deadlines)}}}

    def do_StateMinerSectorCount(self, _miner: str, _key: Any) -> Any:
        return {"Live": 1, "Active": 1, "Faulty": 0}

    def do_StateMinerProvingDeadline(self, _miner: str, _key: Any) -> Any:
        return {
            "CurrentEpoch": 1000,
            "PeriodStart": 960,
            "Index": 4,
            "Open": 1000,
            "Close": 1010,
            "Challenge": 998,
            "FaultCutoff": 985,
            "WPoStPeriodDeadlines": 6,
            "WPoStProvingPeriod": 60,
            "WPoStChallengeWindow": 10,
            "WPoStChallengeLookback": 2,
            "FaultDeclarationCutoff": 15,
        }


def refresh(chain: Actors, *, height: int = 1000) -> None:
    miners_refresh(
        list(Miner.objects.order_by("pk")),
        client=chain,  # type: ignore[arg-type]  # stands where the client is
        height=height,
        key=KEY,
        params=NETWORK.proving,
    )


def read_once(count: int = 3) -> tuple[list[Miner], Actors]:
    miners, chain = [factories.miner(refreshed_height=999) for _ in range(count)], Actors()
    refresh(chain)
    chain.calls.clear()
    return miners, chain


def test_miners_whose_state_stays_cost_one_question_each_in_one_request(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    miners, chain = read_once()

    with django_assert_num_queries(3):  # the miners, their roots, their height
        refresh(chain, height=1001)

    assert chain.calls == ["StateGetActor"] * 3
    heights = Miner.objects.filter(pk__in=[miner.pk for miner in miners]).values_list("refreshed_height")
    assert set(heights) == {(1001,)}


def test_one_whose_state_moved_is_read_and_the_others_are_not() -> None:
    miners, chain = read_once()
    chain.states[miners[1].address] = "second"

    refresh(chain, height=1001)

    assert chain.calls.count("StateMinerPower") == 1
    assert "ChainReadObj" not in chain.calls, "its deadlines stayed"
    assert ChainRoots.objects.get(miner=miners[1]).state == factories.cid("second")


@pytest.mark.parametrize("none", [None, "<empty>"])
def test_a_worker_that_is_to_come_is_kept_until_it_is_confirmed(none: str | None) -> None:
    [miner], chain = read_once(1)
    chain.info = {"NewWorker": "t0103", "WorkerChangeEpoch": 1900}
    chain.states[miner.address] = "asked for"
    refresh(chain, height=1001)
    miner.refresh_from_db()
    assert (miner.new_worker, miner.new_worker_epoch) == ("f0103", 1900)

    chain.info = {"NewWorker": none, "WorkerChangeEpoch": -1}
    chain.states[miner.address] = "confirmed"
    refresh(chain, height=1002)

    miner.refresh_from_db()
    assert (miner.new_worker, miner.new_worker_epoch) == ("", None)


@pytest.mark.parametrize("gives_objects", [True, False])
def test_deadlines_that_moved_are_named_each_where_the_node_tells(gives_objects: bool) -> None:
    miners, chain = read_once(1)
    chain.states[miners[0].address], chain.deadlines = "second", "due later"
    chain.gives_objects = gives_objects

    refresh(chain, height=1001)

    roots = ChainRoots.objects.get()
    assert roots.deadlines == factories.cid("due later")
    assert roots.each == (chain.each() if gives_objects else [])
    assert roots.of_deadline(2) == (chain.each()[2] if gives_objects else roots.deadlines)


@pytest.mark.parametrize("why", ["money came", "another deadline", "a while ago"])
def test_what_no_state_root_tells_is_read_too(why: str) -> None:
    _, chain = read_once(1)
    chain.balance += why == "money came"
    height = {"another deadline": 1010, "a while ago": 1000 + READ_ALL_EPOCHS}.get(why, 1001)

    refresh(chain, height=height)

    assert "StateMinerPower" in chain.calls


def test_a_refused_miner_stops_no_other_and_is_asked_again() -> None:
    miners, chain = read_once(2)
    chain.refused.add(miners[0].address)
    chain.states = {miner.address: "second" for miner in miners}

    refresh(chain, height=1001)
    assert [row.state for row in ChainRoots.objects.order_by("miner")] == [
        factories.cid("first"),
        factories.cid("second"),
    ]

    chain.refused.clear()
    refresh(chain, height=1002)
    assert ChainRoots.objects.filter(state=factories.cid("second")).count() == 2


def test_an_answer_for_an_older_head_overwrites_nothing() -> None:
    miners, chain = read_once(1)
    chain.states[miners[0].address] = "of a fork"

    refresh(chain, height=990)

    assert ChainRoots.objects.get().state == factories.cid("first")
    assert Miner.objects.get().refreshed_height == 1000
