"""The node clients of venus-shared and lotus, against the devnet and against the console's node interface.

Each method is asked twice: by plain JSON, and through the typed client, whose Go types must carry every
member that was sent.  A value that the chain moves between the two questions is asked for once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.answers import differences
from tests.peers.programs import Peer, PeerRefused
from tests.peers.questions import Node, asks, transfer

pytestmark = pytest.mark.peer

EXTRA: Final = ("Version", "StateGetNetworkParams")
"""Methods that tell more than every client's type has: lotus more than venus, the devnet its periods."""

RENUMBERED: Final = "actor not found"
"""What lotus v1.34.1 makes of code 3, which newer nodes (the recorded one) send for a failed execution."""

MISSING: Final = "the client has no method"
COMPARED_MIN: Final = 60
"""At least so many methods must have been compared for each client."""


@pytest.fixture(scope="module")
def sector(pool: RunningPool) -> int:
    """A sector of the pool's miner that the chain counts."""
    miner = pool.wait_miner()
    pool.pledge(miner)
    pool.wait_active(miner, {0}, within_s=300)
    return 0


def outcome(ask: Callable[..., Any], method: str, params: tuple[Any, ...]) -> tuple[str, Any]:
    """What a question brought: an error's words or a result."""
    try:
        return "", ask(method, *params)
    except PeerRefused as refusal:
        return str(refusal), None


def compare(node: Node, peer: Peer, method: str, params: tuple[Any, ...]) -> list[str] | None:
    """What the client lost of one answer; None if it has no such method."""
    found: list[str] = []
    for _ in range(3):
        words, sent = outcome(node.ask, method, params)
        said, understood = outcome(peer.call, method, params)
        if MISSING in said:
            return None
        if words or said:
            same = bool(words) and (words in said or said == RENUMBERED)
            found = [] if same else [f": sent {words!r}, understood {said!r}"]
        else:
            found = list(differences(sent, understood))
        if method in EXTRA:
            found = [line for line in found if not line.endswith("understood None")]
        if not found:
            break
    return [f"{method}{line}" for line in found]


@pytest.fixture(params=["devnet", "console"])
def place(request: pytest.FixtureRequest, pool: RunningPool, admin: str) -> tuple[str, str]:
    """Where a node answers, and the token for it."""
    return (pool.listen, "") if request.param == "devnet" else (f"127.0.0.1:{pool.port}", admin)


@pytest.fixture
def dial(request: pytest.FixtureRequest, venus: Any, lotus: Any, place: tuple[str, str]) -> Any:
    """Start a client: `program kind scheme`."""
    address, token = place
    running: list[Peer] = []

    def begin(kind: str, scheme: str) -> Peer:
        program, _, version = kind.partition(" ")
        binary, name = (venus, f"chain-{version}") if program == "venus" else (lotus, f"node-{version}")
        peer = Peer([binary, name, f"{scheme}://{address}/rpc/{version}"], token=token)
        running.append(peer)
        return peer

    yield begin
    for peer in running:
        peer.__exit__()


@pytest.mark.parametrize(
    ("kind", "scheme"), [("venus v1", "ws"), ("lotus v1", "ws"), ("venus v0", "http"), ("lotus v0", "http")]
)
def test_the_client_understands_every_answer(dial, place, pool, worker, sector, kind, scheme):
    address, token = place
    node = Node(address, f"/rpc/{kind[-2:]}", token)
    peer = dial(kind, scheme)
    pool_transfer(pool, worker)

    results = [
        compare(node, peer, method, params) for method, params in asks(node, worker, pool.miner(), sector)
    ]

    compared = [lines for lines in results if lines is not None]
    lost = [line for lines in compared for line in lines]
    assert not lost, "\n".join(lost)
    assert len(compared) >= COMPARED_MIN


def pool_transfer(pool: RunningPool, worker: str) -> None:
    """Have a message of the worker on chain, some epochs deep."""
    uid = pool.rpc("Message.PushMessage", transfer(worker), None)["result"]
    pool.rpc("Message.WaitMessage", uid, 5)


@pytest.mark.parametrize("kind", ["venus v1", "lotus v1"])
def test_heads_are_followed_over_a_socket(dial, place, kind):
    peer = dial(kind, "ws")

    following = peer.begin("ChainNotify")
    frames = [peer.end(following)["value"] for _ in range(4)]

    assert [frames[0][0]["Type"], *{change["Type"] for frame in frames[1:] for change in frame}] == [
        "current",
        "apply",
    ]
    heights = [frame[-1]["Val"]["Height"] for frame in frames]
    assert heights == sorted(set(heights))
    peer.cancel(following)
    wait_until(lambda: "closed" in peer.end(following), within_s=30, what="the end of the channel")
    assert peer.call("ChainHead")["Height"] >= heights[-1]


@pytest.mark.parametrize("kind", ["venus v1", "lotus v1"])
def test_a_broken_socket_ends_the_channel_and_the_client_dials_again(dial, pool, kind, place):
    peer = dial(kind, "ws")
    following = peer.begin("ChainNotify")
    assert peer.end(following)["value"][0]["Type"] == "current"

    Node(pool.listen, "/rpc/v1", "").ask("Devnet.DropSockets")

    wait_until(lambda: "closed" in peer.end(following), within_s=30, what="the end of the channel")
    wait_until(lambda: not outcome(peer.call, "ChainHead", ())[0], within_s=30, what="an answer")
    again = peer.begin("ChainNotify")
    assert peer.end(again)["value"][0]["Type"] == "current"


@pytest.mark.parametrize("kind", ["venus v1", "lotus v1"])
def test_a_reorg_is_told_as_reverts_and_applies(dial, pool, kind, place):
    peer = dial(kind, "ws")
    following = peer.begin("ChainNotify")
    assert peer.end(following)["value"][0]["Type"] == "current"

    Node(pool.listen, "/rpc/v1", "").ask("Devnet.Reorg", 2, 0, True)

    seen: list[str] = []
    while "revert" not in seen:  # each frame is waited for; without another one `end` fails
        seen += [change["Type"] for change in peer.end(following)["value"]]
    assert seen.count("revert") >= 2


@pytest.mark.parametrize("kind", ["venus v1", "lotus v1"])
def test_a_channel_needs_a_socket(dial, place, kind):
    peer = dial(kind, "http")

    with pytest.raises(PeerRefused):
        peer.call("ChainNotify")


@pytest.mark.parametrize(
    ("kind", "words"), [("venus v1", "this token is not registered here"), ("lotus v1", "401")]
)
def test_a_wrong_token_is_refused(pool, venus, lotus, kind, words):
    binary, name = (venus, "chain-v1") if kind.startswith("venus") else (lotus, "node-v1")
    command = [binary, name, f"http://127.0.0.1:{pool.port}/rpc/v1"]
    with Peer(command, token="a.b.c") as peer, pytest.raises(PeerRefused, match=words):
        peer.call("ChainHead")
