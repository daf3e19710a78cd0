"""A job that a sealing host holds: its lease, its stage and when it was last hinted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workers.agent.journal import Work

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import SealInputs


@dataclass(slots=True)
class HeldJob:
    """A job that this host holds."""

    id: str
    token: int
    seq: int
    lease_s: int
    inputs: SealInputs
    hinted_at: float = 0.0
    """When the last hint was sent; 0: the stage waits for a slot."""
    report_after: float = 0.0
    work: Work = field(init=False)

    def __post_init__(self) -> None:
        self.work = Work(token=self.token, seq=self.seq, inputs=self.inputs)

    @property
    def named(self) -> dict[str, Any]:
        """Return what a line of the log names it by."""
        inputs = self.inputs
        return {"job": self.id, "miner": inputs.miner_id, "sector": inputs.number, "stage": inputs.stage}

    def go_on(self, inputs: SealInputs, *, seq: int) -> None:
        """Turn to the next stage under the same lease."""
        self.inputs, self.seq = inputs, seq
        self.work = Work(token=self.token, seq=seq, inputs=inputs)
        self.hinted_at = self.report_after = 0.0
