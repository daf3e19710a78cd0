"""A chain with allocations and deals, at one height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.chain.errors import NodeRefused
from poolsite.filecoin.deadlines import current_deadline, deadline_to_json
from poolsite.filecoin.policy import network_by_name
from tests.unit.apps.sectors.chain import SomeSectors

NETWORK = network_by_name("localnet-poolsite-test")

HEIGHT = 1_000


class Registry(SomeSectors):
    """A chain with allocations and deals by their numbers; another number the node refuses to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.allocations: dict[int, Any] = {}
        self.deals: dict[int, Any] = {}

    def state_miner_proving_deadline(self, _miner: str, _key: str) -> Any:
        """Return the first deadline of a period that has just begun."""
        return deadline_to_json(current_deadline(HEIGHT, HEIGHT, NETWORK.proving))

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Answer each question, or refuse it."""
        return [answer for call in calls for answer in self._answers(call)]

    def _answers(self, call: tuple[str, Sequence[Any]]) -> list[Any]:
        method, params = call
        if method not in ("StateGetAllocation", "StateMarketStorageDeal"):
            return super().call_many([call])
        try:
            return [Registry.call(self, method, *params)]
        except NodeRefused as refusal:
            return [refusal]

    def call(self, method: str, *params: Any) -> Any:
        """Return an allocation, or a deal; no sector number was ever taken."""
        if method == "StateMinerAllocated":
            return None
        rows, number = {
            "StateGetAllocation": (self.allocations, params[-2]),
            "StateMarketStorageDeal": (self.deals, params[0]),
        }[method]
        if number not in rows:
            raise NodeRefused(1, "the state is not here")
        return rows[number]
