"""A miner's rows together, as its handlers read and write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.actor_errors import bad_argument, illegal_state, not_found
from poolsite.devnet.actors.ledger import actor_get
from poolsite.devnet.actors.power import claim_change, pledge_change
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.devnet.state.sector_rows import (
    EMPTY_PARTITION,
    Deadline,
    Partition,
    PreCommit,
    Sector,
    deadlines_of,
    partitions_of,
    posted_proofs_of,
    precommits_of,
    sectors_of,
)
from poolsite.filecoin.bitfield import BadBitField
from poolsite.filecoin.deadlines import (
    DeadlineInfo,
    current_deadline,
    deadline_info,
)
from poolsite.filecoin.gas_model import FAIL_STATE
from poolsite.filecoin.power import quality_power

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call, Machine
    from poolsite.devnet.state.tables import Draft, State
    from poolsite.filecoin.bitfield import BitField
    from poolsite.filecoin.policy import Network


MAX_NUMBERS: Final = 25_000
"""Most sectors that one set may name.

Source: builtin-actors runtime/src/runtime/policy.rs addressed_sectors_max.
"""


def numbers_of(field: BitField) -> tuple[int, ...]:
    """Return the members of a set from a call's params.  Raises ActorError 16 if it is too large."""
    try:
        return field.numbers(MAX_NUMBERS)
    except BadBitField as error:
        raise bad_argument(f"failed to expand bitfield: {error}") from None


class Reader:
    """Read access to a miner in any state."""

    def __init__(self, state: Draft | State, miner_id: int, network: Network) -> None:
        self.state = state
        self.id = miner_id
        self.network = network

    @property
    def miner(self) -> Miner:
        """The miner's own row.  Raises ActorError 20 if there is none."""
        miner: Miner | None = self.state.get(MINERS, self.id)
        if miner is None:
            raise illegal_state(f"no miner f0{self.id}")
        return miner

    @property
    def balance(self) -> int:
        actor = actor_get(self.state, self.id)
        return 0 if actor is None else actor.balance

    def sector(self, number: int) -> Sector | None:
        found: Sector | None = self.state.get(sectors_of(self.id), number)
        return found

    def sectors(self, numbers: Iterable[int]) -> list[Sector]:
        """Return the sectors of these numbers.  Raises ActorError 17 for a missing one."""
        found = []
        for number in numbers:
            sector = self.sector(number)
            if sector is None:
                raise not_found(f"sector {number} not found")
            found.append(sector)
        return found

    def all_sectors(self) -> list[Sector]:
        """Every sector that was ever proven, by number."""
        table = sectors_of(self.id)
        return [self.state.get(table, number) for number in self.state.keys(table)]

    def precommit(self, number: int) -> PreCommit | None:
        found: PreCommit | None = self.state.get(precommits_of(self.id), number)
        return found

    def proofs_of(self, deadline: int) -> list[tuple[int, int]]:
        """Return the keys of a deadline's proofs that may be disputed."""
        keys = self.state.keys(posted_proofs_of(self.id))
        return sorted(key for key in keys if isinstance(key, tuple) and key[0] == deadline)

    def deadline(self, index: int) -> Deadline:
        found: Deadline | None = self.state.get(deadlines_of(self.id), index)
        return found or Deadline(partitions=0, posted=())

    def partition(self, deadline: int, index: int) -> Partition | None:
        found: Partition | None = self.state.get(partitions_of(self.id), (deadline, index))
        return found

    def partitions(self, deadline: int) -> list[Partition]:
        return [
            self.partition(deadline, i) or EMPTY_PARTITION for i in range(self.deadline(deadline).partitions)
        ]

    def all_partitions(self) -> list[tuple[tuple[int, int], Partition]]:
        """Every partition with its (deadline, index), in order."""
        table = partitions_of(self.id)
        return [(key, self.state.get(table, key)) for key in self.state.keys(table)]

    def power(self, numbers: Iterable[int]) -> tuple[int, int]:
        """Raw and quality-adjusted bytes of sectors."""
        miner = self.miner
        raw = quality = 0
        for sector in self.sectors(numbers):
            raw += miner.sector_size
            quality += sector_quality(sector, miner.sector_size)
        return raw, quality

    def deadline_now(self, epoch: int) -> DeadlineInfo:
        """Return the deadline that is open at `epoch`, whatever cron has recorded."""
        return current_deadline(self.miner.period_start, epoch, self.network.proving)

    def deadline_recorded(self, epoch: int) -> DeadlineInfo:
        """Return the current deadline as cron has last set it, which is what nodes report."""
        miner = self.miner
        return deadline_info(miner.period_start, miner.deadline, epoch, self.network.proving)

    def deadline_at(self, index: int, epoch: int) -> DeadlineInfo:
        """Return a deadline of the current proving period."""
        return deadline_info(self.deadline_now(epoch).period_start, index, epoch, self.network.proving)


def sector_quality(sector: Sector, size: int) -> int:
    """Quality-adjusted power of a sector."""
    return quality_power(
        size,
        duration=sector.expiration - sector.power_base_epoch,
        verified_weight=sector.verified_weight,
    )


class MinerStateEditor(Reader):
    """Write access to a miner during a call or cron."""

    state: Draft

    def __init__(self, machine: Machine, miner_id: int) -> None:
        super().__init__(machine.draft, miner_id, machine.network)
        self.machine = machine

    def save(self, miner: Miner) -> None:
        self.state.put(MINERS, self.id, miner)

    def change(self, **columns: Any) -> Miner:
        """Replace columns of the miner's own row."""
        miner = replace(self.miner, **columns)
        self.save(miner)
        return miner

    def save_sector(self, sector: Sector) -> None:
        self.state.put(sectors_of(self.id), sector.number, sector)

    def save_deadline(self, index: int, deadline: Deadline) -> None:
        self.state.put(deadlines_of(self.id), index, deadline)

    def save_partition(self, deadline: int, index: int, partition: Partition) -> None:
        self.state.put(partitions_of(self.id), (deadline, index), partition)

    def proofs_forget(self, deadline: int) -> None:
        """Drop the proofs of a deadline's window before."""
        for key in self.proofs_of(deadline):
            self.state.delete(posted_proofs_of(self.id), key)

    def power_change(self, raw: int, quality: int) -> None:
        """Add to the miner's claim."""
        claim_change(self.machine, self.id, raw=raw, quality=quality)

    def pledge_change(self, amount: int) -> None:
        """Add to the network's total pledge."""
        pledge_change(self.machine, amount)


def editor_open(call: Call, *, allowed: str = "managers") -> MinerStateEditor:
    """Load the receiver's state for a call and check the caller.

    `allowed`: "managers" (owner, worker, control), "owner".  Raises ActorError 18.
    """
    editor = MinerStateEditor(call.machine, call.receiver)
    miner = editor.miner
    if allowed == "owner":
        call.require_caller((miner.owner,))
    else:
        call.require_caller((miner.owner, miner.worker, *miner.control))
    call.charge_to(FAIL_STATE)
    return editor
