"""What comes down a node's socket: frames, or a failure after which another node is asked."""

from __future__ import annotations

from typing import Any

import pytest

from apps.chain.node.sockets import FAILURES, NodeSocket


class Saying:
    """A socket on which a node always says the same."""

    def __init__(self, said: str | bytes) -> None:
        self.said = said

    async def recv(self) -> str | bytes:
        return self.said


async def frame_of(said: str | bytes) -> Any:
    socket: Any = Saying(said)
    return await NodeSocket(socket, "http://node/rpc/v1").frame()


async def test_a_frame_is_read_as_text_or_bytes() -> None:
    for said in ('{"id": 1}', b'{"id": 1}'):
        assert await frame_of(said) == {"id": 1}


@pytest.mark.parametrize(
    "said",
    ["[" * 100_000, "7", "[]", "{", '{"result": NaN}', b"\xff"],
    ids=["deep", "number", "list", "cut", "nan", "bytes"],
)
async def test_frame_that_cannot_be_read_counts_as_a_failure_of_the_node(said: str | bytes) -> None:
    with pytest.raises(FAILURES):
        await frame_of(said)
