"""A restored pool that reads its sectors back from the chain."""

from __future__ import annotations

from typing import Any, cast

from apps.chain.errors import NodeRefused
from apps.messages.models import Recovery
from apps.messages.services.recovery.detect import recovery_begin
from apps.sectors.services.readback.sectors import sectors_recover
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.reconcile import work
from tests.unit.apps.sectors.sealing import NOON


class Chain(SomeSectors):
    """A chain that has given out the numbers of its pre-commits and of no others."""

    allocated: list[int] | None = None
    """Runs of numbers; None: up to the highest pre-commit."""
    tells_deposits = True
    asked = 0
    """Questions for pre-commits."""

    def call(self, method: str, *_params: Any) -> Any:
        if method == "StateReadState":
            if not self.tells_deposits:
                raise NodeRefused(-32601, "method not found")
            return {"State": {"PreCommitDeposits": str(len(self.precommits))}}
        assert method == "StateMinerAllocated"
        if self.allocated is not None:
            return self.allocated
        return [0, max(self.precommits, default=-1) + 1] if self.precommits else [0]

    def do_StateSectorPreCommitInfo(self, miner: str, number: int, key: Any) -> Any:
        self.asked += 1
        return super().do_StateSectorPreCommitInfo(miner, number, key)

    def state_miner_sectors(self, _miner: str, _numbers: Any, _key: str) -> list[Any]:
        return []


def restored() -> None:
    recovery_begin("restored", now=NOON)
    Recovery.objects.update(since=None)


def recover(chain: SomeSectors | None = None) -> None:
    sectors_recover(work(cast("Any", chain or Chain())))
