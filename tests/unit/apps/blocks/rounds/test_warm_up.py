"""The warm-up's question whether some node has the worker's key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.blocks.rounds import warm_up
from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.node.link import NodeLink
from tests.fake_node import FakeNode, Refusal, served

WORKER = "f3worker"


class Signing(FakeNode):
    """A node that signs the blocks that it makes, with the keys that it has."""

    def __init__(self, has: bool | None) -> None:
        super().__init__()
        self.has = has

    def do_WalletHas(self, _address: str) -> bool:
        if self.has is None:
            raise Refusal("missing permission to invoke 'WalletHas' (need 'write')")
        return self.has


@pytest.fixture
def asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the pool have two nodes, each with what it says of the key."""
    first, second = request.param
    with served(Signing(first)) as one, served(Signing(second)) as two:
        links = [NodeLink(one, ""), NodeLink(two, "")]
        monkeypatch.setattr(warm_up, "chain_client", lambda: ChainClient(links))
        yield
        for link in links:
            link.close()


@pytest.mark.parametrize(
    ("asked", "found"),
    [((False, True), True), ((None, True), True), ((None, False), False), ((False, False), False)],
    indirect=["asked"],
)
@pytest.mark.usefixtures("asked")
def test_one_node_with_the_key_is_enough(found: bool) -> None:
    assert warm_up.node_has_key(WORKER) is found


@pytest.mark.parametrize("asked", [(None, None)], indirect=True)
@pytest.mark.usefixtures("asked")
def test_nodes_whose_tokens_may_only_read_do_not_tell() -> None:
    with pytest.raises(NodeRefused, match="missing permission"):
        warm_up.node_has_key(WORKER)
