"""Nodes that run fast finality (F3), and some that are away."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

from apps.blocks.models import F3Lease
from apps.blocks.services.finality import f3_participate
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import clock
from apps.miners.models import Miner
from poolsite.devnet.participation import F3Error, Participation

PROGRESS, TICKET, VOTE = "F3GetProgress", "F3GetOrRenewParticipationTicket", "F3Participate"

VOTERS = "F3ListParticipants"


class Node:
    """A node with leases of its own, at an instance that a test sets."""

    def __init__(self, url: str, *, instance: int = 100) -> None:
        self.url, self.instance = url, instance
        self.participation = Participation(network="net", issuer=url)
        self.fails: dict[str, Exception] = {}
        """By method, before it does anything."""
        self.loses: set[str] = set()
        """Methods whose answers do not arrive."""
        self.before: dict[str, Callable[[], None]] = {}
        """Called once before a method."""
        self.calls: list[str] = []

    def call(self, method: str, params: list[Any], *, timeout_s: float) -> Any:
        """Answer as a node does."""
        self.calls.append(method)
        if method in self.fails:
            raise self.fails[method]
        if method in self.before:
            self.before.pop(method)()
        try:
            answer = self._answer(method, params)
        except F3Error as error:
            raise NodeRefused(error.code, str(error)) from None
        if method in self.loses:
            raise NodeUnavailable(f"{self.url}: no answer in {timeout_s} s")
        return answer

    def _answer(self, method: str, params: list[Any]) -> Any:
        if method == PROGRESS:
            return {"ID": self.instance}
        if method == VOTERS:
            return [{"MinerID": actor_id} for actor_id in self.votes_for()]
        if method == VOTE:
            lease = self.participation.participate(base64.b64decode(params[0]), instance=self.instance)
            return lease.remaining(self.instance)
        miner, previous, term = params
        old = base64.b64decode(previous or "")
        made = self.participation.ticket(int(miner[2:]), old, term, instance=self.instance)
        return base64.b64encode(made).decode()

    def votes_for(self) -> list[int]:
        """The actors that it votes for now."""
        return [lease.miner for lease in self.participation.current(instance=self.instance)]


def participate_all(miners: list[Miner], *nodes: Any, now: datetime) -> None:
    f3_participate(miners, links=nodes, now=now)


def participate(miner: Miner, *nodes: Node) -> F3Lease:
    participate_all([miner], *nodes, now=clock.now())
    return F3Lease.objects.get(miner=miner)


def away(reason: str = "gone") -> dict[str, Exception]:
    return dict.fromkeys((PROGRESS, TICKET, VOTE), NodeUnavailable(reason))
