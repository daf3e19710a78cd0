"""The pool of nodes: which one is read, and that reads go on whatever happens to it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from apps.chain.errors import NodeNotServing, NodeUnavailable
from apps.chain.models import Head, Network, Node
from apps.chain.node.call_timeouts import call_timeouts
from apps.chain.node.client import ChainClient, chain_client
from apps.chain.node.link import link_to
from apps.chain.selectors.nodes import nodes_for_reading
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import node_add, node_set, node_test, nodes_sync
from apps.chain.services.probes import node_probe, nodes_probe
from apps.chain.states import NodeCondition, NodeRole
from apps.core.errors import Conflict
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests.fake_node import FakeNode, served

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


@contextmanager
def answering(body: bytes, *, status: int = 200) -> Iterator[str]:
    """Serve the same bytes to every question."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/rpc/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hanging() -> Iterator[str]:
    """Take connections and never answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/rpc/v1"


@pytest.fixture
def good() -> Iterator[str]:
    with served(FakeNode()) as url:
        yield url


def healthy(*urls: str) -> None:
    """Make the pool of these nodes, all of them well so far."""
    nodes_sync(urls)
    Node.objects.update(condition=NodeCondition.HEALTHY)


def read_within_time() -> int:
    """Read as any part of the console does; gives the head's height."""
    began = time.monotonic()
    height = chain_client().chain_head().height
    alone_s = call_timeouts("ChainHead").limit_s(has_other=False)
    assert time.monotonic() - began < alone_s, "the first was waited for as if there were no other"
    return height


def condition_of(url: str) -> tuple[str, str]:
    node = Node.objects.get(url=url)
    return node.condition, node.error


def test_reads_go_on_when_a_node_dies_and_the_row_says_so(good: str) -> None:
    with served(FakeNode()) as url:
        healthy(url, good)
        assert read_within_time() == 0
    link_to.cache_clear()  # the test's server ends its open connections only with the process

    assert read_within_time() == 0
    nodes_probe(now=NOW)
    condition, error = condition_of(url)
    assert condition == NodeCondition.AWAY
    assert url in error
    assert [node.url for node in nodes_for_reading()] == [good, url]


def test_reads_go_on_when_a_node_hangs(good: str) -> None:
    with hanging() as url:
        healthy(url, good)

        assert read_within_time() == 0
        assert link_to(url, "").tired_until > 0, "the next read asks the other one first"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>502 Bad Gateway</html>",
        b'"text"',
        b"[]",
        b'{"jsonrpc":"2.0","id":null,"result":{"Cids":[],"Blocks":[],"Height":0}}',
        b'{"jsonrpc":"2.0","id":null,"result":"garbage"}',
        b'{"jsonrpc":"2.0","id":999999,"result":null}',
        b'{"error":"rate limit"}',
        b'{"jsonrpc":"2.0","id":null,"error":{"code":"x"}}',
    ],
)
def test_reads_go_on_when_a_node_answers_garbage(good: str, body: bytes) -> None:
    with answering(body) as url:
        healthy(url, good)

        assert read_within_time() == 0
        nodes_probe(now=NOW)

    assert condition_of(url)[0] == NodeCondition.AWAY


def test_garbage_alone_is_said(good: str) -> None:
    with answering(b'{"jsonrpc":"2.0","id":null,"result":7}') as url:
        healthy(url)
        with pytest.raises(NodeUnavailable, match="could not be parsed"):
            chain_client().chain_head()


def test_a_node_that_lies_behind_is_read_last(good: str) -> None:
    node = FakeNode()
    for _ in range(5):
        node.mine()
    with served(node) as url:
        nodes_sync([good, url])
        nodes_probe(now=NOW)

        assert read_within_time() == 5
        condition, error = condition_of(good)
        assert (condition, error) == (NodeCondition.LAGGING, "5 epochs behind the newest head")
        assert Node.objects.get(url=good).lag_s == 5


def test_a_node_whose_details_are_slow_is_healthy_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.chain.services.probes.PROBE_TIMEOUT_S", 1.0)
    monkeypatch.setattr(FakeNode, "do_NetPeers", lambda _node: [], raising=False)
    node, is_over, asked = FakeNode(), threading.Event(), []

    def hang(method: str, _params: list[Any]) -> None:
        if method == "NetPeers":
            asked.append(method)
            is_over.wait(30)

    node.refuses = hang
    with served(node) as url:
        row = Node.objects.create(url=url, version="known", peers=7)

        for seconds in range(2):
            nodes_probe(now=NOW + timedelta(seconds=seconds))
            row.refresh_from_db()
            assert (row.condition, row.error, row.version, row.peers) == ("HEALTHY", "", "known", 7)
        is_over.set()

    assert len(asked) == 1, "the next time after half a minute"


def test_a_node_that_syncs_across_an_upgrade_leaves_the_version_alone(
    good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, upgraded = FakeNode(), FakeNode()
    monkeypatch.setattr(late, "do_StateNetworkVersion", lambda _key: 27)
    monkeypatch.setattr(upgraded, "do_StateNetworkVersion", lambda _key: 29)
    with served(late) as url, served(upgraded) as newest:
        nodes_sync([good, url])
        nodes_probe(now=NOW)
        network_bind(ChainClient([link_to(url, "")]))
        assert (Node.objects.get(url=url).network_version, Network.objects.get().version) == (27, 28)

        nodes_sync([good, url, newest])
        nodes_probe(now=NOW)
        assert Network.objects.get().version == 29


def test_a_node_that_moves_to_another_network_is_not_read_any_more(good: str) -> None:
    node = FakeNode()
    with served(node) as url:
        nodes_sync([url, good])
        nodes_probe(now=NOW)
        assert {row.condition for row in Node.objects.all()} == {NodeCondition.HEALTHY}

        node.network = "calibrationnet"
        nodes_probe(now=NOW + timedelta(seconds=1))

    condition, error = condition_of(url)
    assert condition == NodeCondition.WRONG_NETWORK
    assert "calibrationnet" in error
    assert [row.url for row in nodes_for_reading()] == [good]


def test_the_best_is_by_role_then_weight_then_place() -> None:
    healthy("http://a/rpc/v1", "http://b/rpc/v1", "http://c/rpc/v1", "http://d/rpc/v1", "http://e/rpc/v1")
    for letter, role, weight in [
        ("a", "BACKUP", 9),
        ("c", "MAIN", 5),
        ("d", "PUSH_ONLY", 9),
        ("e", "WINNING", 9),
    ]:
        Node.objects.filter(url=f"http://{letter}/rpc/v1").update(role=role, weight=weight)

    assert [node.url[7] for node in nodes_for_reading()] == ["c", "b", "a", "e"]


def test_a_method_that_one_kind_lacks_is_asked_of_the_other(good: str) -> None:
    lotus = FakeNode()
    lotus.lacks.add("MpoolGetConfig")
    with served(lotus) as url:
        healthy(url, good)

        assert chain_client().mpool_get_config() == {"ReplaceByFeeRatio": 1.25}


def test_probes_give_quantiles_and_an_error_rate() -> None:
    node = Node(probes=[1.0, None, 3.0, 2.0])

    assert (node.error_rate, node.latency_quantile(0.5), node.latency_quantile(0.95)) == (0.25, 2.0, 3.0)
    assert Node().latency_quantile(0.5) is None


def test_a_node_is_asked_before_it_is_added(good: str) -> None:
    healthy(good)
    nodes_probe(now=NOW)
    with served(FakeNode(network="mainnet")) as other, served(FakeNode()) as url:
        with pytest.raises(NodeNotServing, match="mainnet"):
            node_test(other, now=NOW)
        node_add(principal=SYSTEM, text=url, role=NodeRole.BACKUP, weight=2, name="spare", now=NOW)
        with pytest.raises(Conflict, match="already"):
            node_add(principal=SYSTEM, text=url, role=NodeRole.BACKUP, weight=2, name="spare", now=NOW)

    nodes_sync([good])
    row = Node.objects.get(url=url)
    assert (row.is_enabled, row.role, row.condition) == (True, NodeRole.BACKUP, NodeCondition.HEALTHY)
    assert AuditEntry.objects.filter(action="node.add").count() == 1


def test_a_node_that_was_switched_off_stays_off(good: str) -> None:
    healthy(good, "http://b/rpc/v1")
    node = Node.objects.get(url="http://b/rpc/v1")
    node_set(principal=SYSTEM, node=node, is_enabled=False)

    nodes_sync([good, "http://b/rpc/v1"])

    assert [row.url for row in nodes_for_reading()] == [good]
    with pytest.raises(Conflict, match="last node"):
        node_set(principal=SYSTEM, node=Node.objects.get(url=good), role=NodeRole.PUSH_ONLY)


def test_a_node_that_is_removed_while_it_is_probed_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    good, gone = FakeNode(), FakeNode()
    with served(good) as first, served(gone) as second:
        nodes_sync([first])
        removed = Node.objects.create(url=second, is_configured=False)

        def ask(node: Node, *, now: datetime, pool_tipset: Head | None) -> Any:
            Node.objects.filter(pk=removed.pk).delete()
            return node_probe(node, now=now, pool_tipset=pool_tipset)

        monkeypatch.setattr("apps.chain.services.probes.node_probe", ask)
        monkeypatch.setattr("apps.chain.services.probes.ThreadPoolExecutor", InOneThread)
        nodes_probe(now=NOW)

    assert [node.condition for node in Node.objects.all()] == [NodeCondition.HEALTHY]


class InOneThread:
    """Stands where the threads of a probe are, so that a test's transaction is theirs too."""

    def __init__(self, **_options: object) -> None:
        pass

    def __enter__(self) -> InOneThread:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def map(self, do: Callable[[Node], Any], rows: Iterable[Node]) -> Iterator[Any]:
        """Do it one after the other."""
        return map(do, rows)
