"""Submitting to several nodes: a block is lost only if every node refuses it or the epoch ends."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from apps.blocks.rounds import nodes as nodes_module
from apps.blocks.rounds.miner_round import MinerRound
from apps.blocks.rounds.nodes import AGAIN_S, BlockNodes
from apps.chain.errors import NodeRefused, NodeUnavailable

AWAY = NodeUnavailable("connection reset")
BEHIND = NodeRefused(1, "loading parent block: not found")
INVALID = NodeRefused(1, "invalid block")


class Link:
    """A node with an answer for each call; the last one is for all that follow."""

    def __init__(self, url, *answers):
        self.url, self.answers, self.calls = url, answers, 0

    def call(self, method, params, *, timeout_s):
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


async def submit(*links, left_s=25.0):
    nodes = BlockNodes(links, submit=links)
    context = SimpleNamespace(nodes=nodes, times=SimpleNamespace(submit_until=time.time() + left_s))
    mine: Any = SimpleNamespace(context=context)
    block: Any = object()
    try:
        await MinerRound._submit(mine, block)
    finally:  # nodes that nobody waits for any more
        await asyncio.gather(*nodes._running, return_exceptions=True)


@pytest.fixture(autouse=True)
def _no_json(monkeypatch):
    monkeypatch.setattr(nodes_module, "to_json", lambda _block: {})


@pytest.mark.parametrize("other", [BEHIND, AWAY])
async def test_a_node_that_was_away_for_a_moment_gets_the_block(other):
    away, behind = Link("a", AWAY, None), Link("b", other)

    await submit(away, behind)

    assert (away.calls, behind.calls) == (2, 2)


async def test_a_block_that_every_node_refuses_is_not_submitted_again():
    links = Link("a", INVALID), Link("b", BEHIND)

    with pytest.raises(NodeRefused):
        await submit(*links)

    assert [link.calls for link in links] == [1, 1]


@pytest.mark.parametrize("answers", [(AWAY, BEHIND), (BEHIND, AWAY)])
async def test_the_last_error_names_both_absence_and_refusal(answers):
    with pytest.raises(NodeUnavailable) as error:
        await submit(*(Link(str(answer), answer) for answer in answers), left_s=AGAIN_S)

    assert error.value.reason == f"connection reset; another node refused: {BEHIND.reason}"


async def test_a_pool_without_nodes_says_so():
    with pytest.raises(NodeUnavailable, match="no node"):
        await submit(left_s=0.0)
