"""DeclareFaults and DeclareFaultsRecovered: a miner says what it cannot prove, and what it can again.

Source: builtin-actors actors/miner/src/lib.rs declare_faults, declare_faults_recovered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from poolsite.devnet.actors.actor_errors import bad_argument, forbidden, not_found
from poolsite.devnet.actors.miner.funds import debt_repay_wholly
from poolsite.devnet.actors.miner.partitions import faults_add, numbers_union
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open, numbers_of
from poolsite.devnet.state.sector_rows import Partition
from poolsite.filecoin.actors.miner_proving import DeclareFaultsParams, DeclareFaultsRecoveredParams
from poolsite.filecoin.gas_model import declare_faults_gas, declare_recovered_gas

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.deadlines import DeadlineInfo

NOTHING_DECLARED_GAS = 12_600_000
"""Gas of a declaration without sectors (measured)."""
PLURALS = {"fault": "faults", "recovery": "recoveries"}
ADDRESSED_PARTITIONS_MAX = 3000
ADDRESSED_SECTORS_MAX = 25_000
Step = Callable[[MinerStateEditor, Partition, tuple[int, ...], "DeadlineInfo"], Partition]


def declare_faults(call: Call) -> bytes:
    """Handle DeclareFaults: power goes at once."""
    params = call.read(DeclareFaultsParams)
    editor = editor_open(call)
    touched = _each_partition(call, editor, params.faults, step=_fault, kind="fault")
    call.charge_to(declare_faults_gas(touched) if touched else NOTHING_DECLARED_GAS)
    return b""


def declare_recovered(call: Call) -> bytes:
    """Handle DeclareFaultsRecovered: power returns with the next proof of the deadline."""
    params = call.read(DeclareFaultsRecoveredParams)
    editor = editor_open(call)
    miner = editor.miner
    if miner.consensus_fault_elapsed >= call.epoch:
        raise forbidden("recovery not allowed during active consensus fault")
    editor.save(debt_repay_wholly(call.machine, editor.id, miner))
    touched = _each_partition(call, editor, params.recoveries, step=_recover, kind="recovery")
    call.charge_to(declare_recovered_gas(touched) if touched else NOTHING_DECLARED_GAS)
    return b""


def _each_partition(call: Call, editor: MinerStateEditor, declarations: Any, *, step: Step, kind: str) -> int:
    """Apply `step` to each partition that the declarations name; returns how many there are."""
    declarations = tuple(declarations)
    if len(declarations) > ADDRESSED_PARTITIONS_MAX:
        raise bad_argument(f"too many declarations {len(declarations)}, max {ADDRESSED_PARTITIONS_MAX}")
    if sum(len(entry.sectors) for entry in declarations) > ADDRESSED_SECTORS_MAX:
        raise bad_argument(f"too many sectors, max {ADDRESSED_SECTORS_MAX}")
    for entry in declarations:
        _check_deadline(call, editor, entry.deadline, kind=kind)
    for entry in declarations:
        partition = editor.partition(entry.deadline, entry.partition)
        if partition is None:
            raise not_found(
                f"failed to declare {PLURALS[kind]} for deadline {entry.deadline}: "
                f"no such partition {entry.partition}"
            )
        numbers = numbers_of(entry.sectors)
        if not set(numbers) <= set(partition.sectors):
            raise bad_argument(
                f"failed to declare {PLURALS[kind]} for deadline {entry.deadline}: failed to declare "
                f"{PLURALS[kind]} in partition {entry.partition}: failed fault declaration: "
                "not all sectors are assigned to the partition"
            )
        info = editor.deadline_at(entry.deadline, call.epoch).next_not_elapsed()
        editor.save_partition(entry.deadline, entry.partition, step(editor, partition, numbers, info))
    return len({(entry.deadline, entry.partition) for entry in declarations})


def _check_deadline(call: Call, editor: MinerStateEditor, index: int, *, kind: str) -> None:
    """Refuse what is too late.  Source: lib.rs validate_fr_declaration_deadline."""
    deadlines = call.network.proving.deadlines
    if index >= deadlines:
        raise bad_argument(f"invalid deadline {index}, must be < {deadlines}")
    info = editor.deadline_at(index, call.epoch).next_not_elapsed()
    if info.fault_cutoff_passed:
        raise bad_argument(
            f"failed {kind} declaration at deadline {index}: late fault or recovery declaration"
        )


def _fault(
    editor: MinerStateEditor, partition: Partition, numbers: tuple[int, ...], info: DeadlineInfo
) -> Partition:
    """Healthy sectors become faulty, declared recoveries are taken back; others are left as they are."""
    live = set(partition.live)
    retracted = set(numbers) & set(partition.recoveries)
    new = [number for number in numbers if number in live and number not in set(partition.faults)]
    counted = [number for number in new if number in set(partition.active)]
    raw, quality = editor.power(counted)
    editor.power_change(-raw, -quality)
    expiration = info.quantization.up(info.last + editor.network.fault_max_age)
    partition = faults_add(partition, new, expiration=expiration)
    recoveries = tuple(number for number in partition.recoveries if number not in retracted)
    return replace(partition, recoveries=recoveries)


def _recover(
    _book: MinerStateEditor, partition: Partition, numbers: tuple[int, ...], _info: DeadlineInfo
) -> Partition:
    """Faulty sectors are marked; healthy ones are left as they are."""
    return replace(
        partition, recoveries=numbers_union(partition.recoveries, set(numbers) & set(partition.faults))
    )
