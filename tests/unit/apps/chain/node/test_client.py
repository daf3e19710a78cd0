"""Asking nodes: answers, refusals, failover, batches."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.chain.errors import NodeAnswerTooLarge, NodeRefused, NodeUnavailable
from apps.chain.node import failover
from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import GasSpec
from apps.chain.node.link import NodeLink
from apps.chain.node.tipsets import key_to_json
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.message import Message
from tests.fake_node import FakeNode, served

ADDRESS = "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za"
SPEC = GasSpec(max_fee=10**17, gas_over_estimation=1.25)


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    node.balances[ADDRESS] = 10**20
    return node


@pytest.fixture
def link(node: FakeNode) -> Iterator[NodeLink]:
    with served(node) as url:
        link = NodeLink(url, "")
        yield link
        link.close()


def dead_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/rpc/v1"


def messages(count: int) -> list[tuple[Message, GasSpec]]:
    address = address_parse(ADDRESS)
    return [(Message(to=address, from_=address, method=number), SPEC) for number in range(count)]


def test_a_node_that_does_not_answer_is_waited_for_as_long_as_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link = NodeLink(f"http://127.0.0.1:{silent.getsockname()[1]}/rpc/v1", "")

        with pytest.raises(NodeUnavailable, match=r"no response within 0\.1 s"):
            link.call("ChainHead", [], timeout_s=0.12345)

        link.close()


def test_a_head_is_read(node: FakeNode, link: NodeLink) -> None:
    key = node.mine()

    head = ChainClient([link]).chain_head()

    assert (head.height, head.key, head.base_fee) == (1, key, 100)
    assert head.parent_key == ChainClient([link]).chain_get_genesis().key


def test_a_refusal_keeps_code_and_words(link: NodeLink) -> None:
    with pytest.raises(NodeRefused) as refusal:
        ChainClient([link]).state_account_key("f01234")

    assert (refusal.value.rpc_code, refusal.value.reason) == (1, "mock: unknown id")


def test_an_unknown_method_is_remembered(link: NodeLink) -> None:
    client = ChainClient([link])
    assert client.knows("Nope")

    with pytest.raises(NodeRefused) as refusal:
        client.call("Nope")

    assert refusal.value.is_unknown_method
    assert not client.knows("Nope")


def test_the_next_node_answers_when_one_is_away(link: NodeLink) -> None:
    dead = NodeLink(dead_url(), "")

    client = ChainClient([dead, link])

    assert client.chain_head().height == 0
    assert client.knows("Nope"), "the dead node is tired now and asked last"
    dead.close()


def test_no_node_at_all_is_said() -> None:
    with pytest.raises(NodeUnavailable, match="no readable node"):
        ChainClient([]).chain_head()


def test_a_refusal_is_not_asked_again_elsewhere(node: FakeNode, link: NodeLink) -> None:
    with pytest.raises(NodeRefused):
        ChainClient([link, link]).state_account_key("f01234")

    assert node.calls.count("StateAccountKey") == 1


def test_the_next_node_does_what_a_token_may_not_at_the_first(node: FakeNode, link: NodeLink) -> None:
    reader = FakeNode()
    reader.refuses = lambda method, _params: f"missing permission to invoke '{method}'  (need 'write')"
    with served(reader) as url:
        hosted = NodeLink(url, "")
        client = ChainClient([hosted, link])

        assert client.call("MpoolGetNonce", ADDRESS) == 0
        assert client.call_many([("MpoolGetNonce", [ADDRESS])]) == [0]
        with pytest.raises(NodeRefused, match="missing permission"):
            ChainClient([hosted]).call("MpoolGetNonce", ADDRESS)
        hosted.close()


def test_the_next_node_answers_what_one_has_no_tipset_for(node: FakeNode, link: NodeLink) -> None:
    key = node.mine()
    late = FakeNode()
    late.refuses = lambda method, _params: (
        f"loading tipset {{{key}}}: get block {key}: ipld: could not find {key}"
        if method == "StateGetActor"
        else None
    )
    with served(late) as url:
        behind = NodeLink(url, "")

        assert ChainClient([behind, link]).state_get_actor(ADDRESS, key).nonce == 0
        with pytest.raises(NodeRefused, match="could not find"):
            ChainClient([behind]).state_get_actor(ADDRESS, key)
        behind.close()


def test_the_next_node_answers_what_a_batch_has_no_tipset_for(node: FakeNode, link: NodeLink) -> None:
    key = node.mine()
    late = FakeNode()
    late.balances[ADDRESS] = 10**20
    missing = f"loading tipset {{{key}}}: ipld: could not find {key}"
    late.refuses = lambda method, _params: missing if method == "StateGetActor" else None
    calls: list[tuple[str, list[Any]]] = [
        ("MpoolGetNonce", [ADDRESS]),
        ("StateGetActor", [ADDRESS, []]),
        ("MpoolGetNonce", ["f01"]),
    ]
    with served(late) as url:
        behind, gone = NodeLink(url, ""), NodeLink(dead_url(), "")

        nonce, actor, refusal = ChainClient([behind, gone, link]).call_many(calls)
        assert (nonce, actor["Balance"]) == (0, str(10**20))
        assert "not found" in refusal.reason
        assert node.calls == ["StateGetActor"], "the others are not asked again"

        for others in ([], [gone]):
            nonce, actor, _ = ChainClient([behind, *others]).call_many(calls)
            assert (nonce, actor.reason) == (0, missing)
        behind.close()


def test_a_wrong_token_makes_a_node_unavailable(node: FakeNode) -> None:
    with served(node, token="right") as url:
        wrong, right = NodeLink(url, "wrong"), NodeLink(url, "right")

        with pytest.raises(NodeUnavailable, match="rejected our token"):
            ChainClient([wrong]).chain_head()

        assert ChainClient([right]).chain_head().height == 0
        wrong.close()
        right.close()


def test_a_batch_keeps_order_and_single_refusals(link: NodeLink) -> None:
    answers = ChainClient([link]).call_many(
        [("MpoolGetNonce", [ADDRESS]), ("MpoolGetNonce", ["f01"]), ("ChainHead", [])]
    )

    assert answers[0] == 0
    assert isinstance(answers[1], NodeRefused)
    assert answers[2]["Height"] == 0


def test_many_calls_go_in_requests_with_the_time_of_their_methods(
    link: NodeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, int, float | None]] = []

    def call_many(calls: Sequence[tuple[str, Sequence[Any]]], *, timeout_s: float | None = None) -> list[Any]:
        sent.append((calls[0][0], len(calls), timeout_s))
        return [params[0] for _, params in calls]

    monkeypatch.setattr(link, "call_many", call_many)
    names = ["StateSearchMsg"] * 7 + ["StateGetActor"] * 60 + ["MinerGetBaseInfo"] * 6
    calls = [(name, [at]) for at, name in enumerate(names)]

    assert ChainClient([link]).call_many(calls) == list(range(73))
    assert sent == [
        ("StateSearchMsg", 5, 120.0),
        ("StateSearchMsg", 5, 120.0),
        ("StateGetActor", 50, 10.0),
        ("StateGetActor", 7, 10.0),
        ("MinerGetBaseInfo", 5, 30.0),
        ("MinerGetBaseInfo", 1, 30.0),
    ]

    sent.clear()
    assert ChainClient([link, link]).call_many(calls[:1]) == [0]
    assert sent == [("StateSearchMsg", 1, 60.0)], "another node stands by"


def test_the_next_node_goes_on_when_one_leaves_amid_many_calls(
    node: FakeNode, link: NodeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, answer = NodeLink(link.url, ""), link.call_many
    counts = [0]

    def leave(calls: Sequence[tuple[str, Sequence[Any]]], *, timeout_s: float | None = None) -> list[Any]:
        counts[0] += 1
        if counts[0] > 1:
            raise first.failed("gone")
        return answer(calls, timeout_s=timeout_s)

    monkeypatch.setattr(first, "call_many", leave)

    answers = ChainClient([first, link]).call_many([("MpoolGetNonce", [ADDRESS])] * 120)

    assert answers == [0] * 120
    assert counts == [2], "it is asked last now"


def test_an_actor_is_read_and_a_missing_one_refused(link: NodeLink) -> None:
    client = ChainClient([link])

    assert client.state_get_actor(ADDRESS).balance == 10**20
    with pytest.raises(NodeRefused, match="actor not found"):
        client.state_get_actor("f0999")


def test_a_batch_estimate_stacks_nonces(node: FakeNode, link: NodeLink) -> None:
    node.fails["1"] = "message execution failed"

    answers = ChainClient([link]).gas_batch_estimate(messages(3), nonce=7, key=node.head.cid)

    assert [answer.message.nonce if answer.message else None for answer in answers] == [7, None, 8]
    assert "execution failed" in answers[1].error


def test_lotus_without_the_batch_method_gives_the_same_gas(node: FakeNode, link: NodeLink) -> None:
    node.lacks.add("GasBatchEstimateMessageGas")
    node.fails["1"] = "message execution failed"
    client = ChainClient([link])

    for _ in range(2):
        answers = client.gas_batch_estimate(messages(3), nonce=7, key=node.head.cid)

        assert [answer.message is not None for answer in answers] == [True, False, True]
        assert answers[0].message is not None
        assert answers[0].message.gas_limit == 1_250_000
    assert node.calls.count("GasBatchEstimateMessageGas") == 1, "the second time it is not even tried"


@pytest.mark.parametrize(
    "spec",
    [
        GasSpec(),
        GasSpec(gas_over_estimation=1.5, gas_over_premium=2.0),
        GasSpec(max_fee=10**17, gas_over_estimation=1.0, gas_over_premium=1.5),
        GasSpec(max_fee=10**8, gas_over_estimation=2.0, gas_over_premium=3.0),
        GasSpec(max_fee=10**8, gas_over_estimation=1.0),
    ],
)
@pytest.mark.parametrize("given", [{}, {"gas_limit": 5_000_000}, {"gas_fee_cap": AttoFil(10**9)}])
def test_lotus_without_the_factors_gives_the_same_gas(
    node: FakeNode, link: NodeLink, spec: GasSpec, given: dict[str, Any]
) -> None:
    address = address_parse(ADDRESS)
    message = Message(to=address, from_=address, **given)

    def estimate() -> Message | None:
        [answer] = ChainClient([link]).gas_batch_estimate([(message, spec)], nonce=0, key=node.head.cid)
        return answer.message

    by_venus = estimate()
    node.lacks.add("GasBatchEstimateMessageGas")

    assert estimate() == ChainClient([link]).gas_estimate_message(message, spec, node.head.cid) == by_venus
    assert node.calls.count("GasEstimateMessageGas") == 2, "one question each"


def test_a_gas_limit_grows_to_that_of_a_block_at_most() -> None:
    message = Message(gas_fee_cap=AttoFil(9), gas_premium=AttoFil(9))

    def limit(estimate: int, factor: float) -> int:
        found = replace(message, gas_limit=estimate)
        return GasSpec(gas_over_estimation=factor).factors_apply(found, message=message).gas_limit

    assert limit(9 * 10**9, 2.0) == BLOCK_GAS_LIMIT
    assert limit(BLOCK_GAS_LIMIT, 1.0) == BLOCK_GAS_LIMIT, "it was cut there"
    assert limit(5 * 10**9, 1.0) == 4 * 10**9


class Talker(FakeNode):
    """A node that says more than anybody wants to hear."""

    def do_StateListMiners(self, *_params: object) -> list[str]:
        return ["f01000"] * 1_000


def test_an_answer_that_is_too_large_is_followed_by_the_next_node(settings: Any) -> None:
    settings.NODE_RESPONSE_MAX_BYTES = 4_000
    with served(Talker()) as url, served(Quiet()) as other:
        talker, quiet = NodeLink(url, ""), NodeLink(other, "")
        try:
            assert ChainClient([talker, quiet]).call("StateListMiners") == ["f01000"]
            assert not talker.tired_until  # nothing is wrong with it
            with pytest.raises(NodeAnswerTooLarge) as refusal:
                ChainClient([talker]).call("StateListMiners")
            assert refusal.value.reason == f"{url}: the response is larger than 4000 bytes"
            with pytest.raises(NodeAnswerTooLarge):
                ChainClient([talker]).call_many([("StateListMiners", ())])
        finally:
            talker.close()
            quiet.close()


@pytest.mark.parametrize(
    "said",
    [b"[" * 100_000, b'{"id": 1, "result": NaN}', b'[{"id": {}, "result": 1}]', b"\xff", b"[[]]"],
    ids=["deep", "nan", "id", "bytes", "list"],
)
@pytest.mark.parametrize("is_batch", [False, True])
def test_an_answer_that_cannot_be_read_is_followed_by_the_next_node(
    said: bytes, is_batch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Quiet()) as url:
        broken, quiet = NodeLink("http://127.0.0.1:9/rpc/v1", ""), NodeLink(url, "")
        monkeypatch.setattr(broken, "_http", Canned(said))
        try:
            client = ChainClient([broken, quiet])
            call = ("StateListMiners", ())
            answer = client.call_many([call])[0] if is_batch else client.call(*call[:1])

            assert answer == ["f01000"]
            assert broken.tired_until
        finally:
            quiet.close()


class Canned:
    """A connection on which a node always says the same."""

    def __init__(self, said: bytes) -> None:
        self.said = said

    def post(self, _body: bytes, **_times: float) -> tuple[int, bytes]:
        return 200, self.said


class Quiet(FakeNode):
    def do_StateListMiners(self, *_params: object) -> list[str]:
        return ["f01000"]


def test_answers_fetched_ahead_are_not_asked_for_again(node: FakeNode, link: NodeLink) -> None:
    key, client = node.mine(), ChainClient([link])
    node.balances[ADDRESS] = 7
    calls: list[tuple[str, list[Any]]] = [
        ("StateGetActor", [ADDRESS, key_to_json(key)]),
        ("StateGetActor", ["f01", key_to_json(key)]),
    ]

    client.read_ahead(calls)
    client.read_ahead(calls[:1])
    node.balances[ADDRESS] = 8
    assert node.calls == ["StateGetActor"] * 2

    assert client.state_get_actor(ADDRESS, key).balance == 7
    actor, refusal, nonce = client.call_many([*calls, ("MpoolGetNonce", [ADDRESS])])
    assert (actor["Balance"], nonce) == ("7", 0)
    assert "not found" in refusal.reason
    assert node.calls == ["StateGetActor"] * 3 + ["MpoolGetNonce"], "a refusal is not kept"
    assert ChainClient([link]).state_get_actor(ADDRESS, key).balance == 8


def test_an_answer_fetched_ahead_that_cannot_be_read_is_asked_for_again(
    node: FakeNode, link: NodeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, client = node.mine(), ChainClient([link])
    node.balances[ADDRESS] = 7
    with monkeypatch.context() as patch:
        patch.setattr(link, "call_many", lambda calls, **_: [{"Balance": "many"} for _ in calls])
        client.read_ahead([("StateGetActor", [ADDRESS, key_to_json(key)])])

    assert client.state_get_actor(ADDRESS, key).balance == 7


class SlowNodes:
    """Nodes that take their time, by a clock of their own."""

    def __init__(self, *takes_s: float) -> None:
        self.now = 0.0
        self.links = [
            cast(
                "NodeLink", SimpleNamespace(tired_until=0.0, call=self._call(one), call_many=self._many(one))
            )
            for one in takes_s
        ]

    def monotonic(self) -> float:
        return self.now

    def _wait(self, takes_s: float, timeout_s: float) -> None:
        self.now += min(takes_s, timeout_s)
        if takes_s > timeout_s:
            raise NodeUnavailable(f"no response within {timeout_s} s")

    def _call(self, takes_s: float) -> Any:
        def call(_method: str, _params: Sequence[Any], *, timeout_s: float) -> str:
            self._wait(takes_s, timeout_s)
            return "answer"

        return call

    def _many(self, takes_s: float) -> Any:
        def call_many(calls: Sequence[Any], *, timeout_s: float) -> list[str]:
            self._wait(takes_s, timeout_s)
            return ["answer"] * len(calls)

        return call_many


def test_a_node_that_answers_is_asked_beyond_the_time_of_one_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The review of a thousand sectors asks for fifty batches: all are answered, none soon."""
    nodes = SlowNodes(2.0)
    monkeypatch.setattr(failover, "time", nodes)
    client = ChainClient(nodes.links, within_s=6.0)

    partitions = client.call_many([("StateSectorPartition", [number]) for number in range(1000)])
    assert client.call("StateMinerInfo") == "answer"

    assert (len(partitions), nodes.now) == (1000, 102.0)


def test_a_silent_node_is_waited_for_once_by_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = SlowNodes(1e9, 1e9)
    monkeypatch.setattr(failover, "time", nodes)
    client = ChainClient(nodes.links, within_s=6.0)

    for method in ("StateMinerInfo", "StateMinerPower", "StateCall"):
        with pytest.raises(NodeUnavailable):
            client.call(method)

    assert nodes.now == pytest.approx(6.0)


def test_of_many_nodes_the_first_keeps_half_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = SlowNodes(*[2.5] * 5)
    monkeypatch.setattr(failover, "time", nodes)

    assert ChainClient(nodes.links, within_s=6.0).call("StateCall") == "answer"

    assert nodes.now == 2.5
