"""Calls that the real actors refused on a lotus node: the devnet's exit codes and words are the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from poolsite.devnet.execution import Applied
from poolsite.filecoin.actors.miner_control import (
    ChangeOwnerAddressParams,
    ChangeWorkerAddressParams,
    WithdrawBalanceParams,
)
from poolsite.filecoin.actors.miner_proving import (
    DeclareFaultsParams,
    DeclareFaultsRecoveredParams,
    PartitionSectors,
    PoStPartition,
    SubmitWindowedPoStParams,
    TerminateSectorsParams,
)
from poolsite.filecoin.actors.miner_sectors import (
    ExpirationExtension2,
    ExtendSectorExpiration2Params,
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    SectorActivationManifest,
)
from poolsite.filecoin.actors.power import CreateMinerParams
from poolsite.filecoin.address import POWER_ACTOR, actor_address, id_address
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.message import Message
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, chain
from tests.unit.devnet.recorded import FOLDER
from tests.unit.devnet.sealing import POST_PROOF, SmallMiner, small_miner

NOT_A_CID = cid_of_cbor(b"")


@pytest.fixture(scope="module")
def miner():
    """A miner with a proven sector 1, a pre-committed sector 2, its deadline open."""
    node = chain(each=100_000 * FIL)
    small = small_miner(node)
    small.add_sectors(1)
    small.precommit(small.seal(2, node.head.height - 1))
    deadline = small.reader.all_partitions()[0][0][0]
    small.post(deadline)
    advance_to(node, small.deadline(deadline).close)
    small.wait_open(deadline)
    yield small
    node.close()


def recorded() -> dict[str, tuple[int, str]]:
    """Exit code and words of each recorded failure, by label."""
    rows = json.loads((FOLDER / "golden_messages.json").read_text())
    return {row["label"]: (row["exit"], row["exec_error"]) for row in rows if row.get("exec_error")}


def words(text: str) -> str:
    """The text without figures and addresses, which differ."""
    return re.sub(r"f2[a-z0-9]+|-?\d+(\.\d+)?", "N", text)


def run(small: SmallMiner, to: Any, *, who: Any = WORKER, **fields: Any) -> Applied:
    message = Message(
        to=to,
        from_=who.address,
        value=AttoFil(fields.get("value", 0)),
        method=fields.get("method", 0),
        params=fields.get("params", b""),
    )
    return small.node.estimator.run(message, small.node.head.tipset)


def precommit(small: SmallMiner, *changes: dict[str, Any], who: Any = WORKER) -> Applied:
    info = small.seal(50, small.node.head.height - 1)
    infos = tuple(replace(info, **change) for change in changes)
    params = to_cbor(PreCommitSectorBatch2Params(infos))
    return run(small, small.address, method=28, params=params, who=who)


def prove(small: SmallMiner, *numbers: int, who: Any = WORKER, **changes: Any) -> Applied:
    params = ProveCommitSectors3Params(
        sector_activations=tuple(SectorActivationManifest(number, ()) for number in numbers),
        sector_proofs=tuple(b"bad proof" for _ in numbers),
        aggregate_proof=b"",
        aggregate_proof_type=None,
        require_activation_success=False,
        require_notification_success=False,
    )
    encoded = to_cbor(replace(params, **changes))
    return run(small, small.address, method=34, params=encoded, who=who)


def post(small: SmallMiner, who: Any = WORKER, **changes: Any) -> Applied:
    (deadline, _), _ = small.reader.all_partitions()[0]
    params = from_cbor(SubmitWindowedPoStParams, small.post_params(deadline))
    encoded = to_cbor(replace(params, **changes))
    return run(small, small.address, method=5, params=encoded, who=who)


def parts(*indices: int, skipped: tuple[int, ...] = ()) -> tuple[PoStPartition, ...]:
    return tuple(PoStPartition(index, bitfield_of(skipped)) for index in indices)


def declare(
    small: SmallMiner, method: int, *, ahead: int = 0, partition: int = 0, sector: int = 1, who: Any = WORKER
) -> Applied:
    (deadline, _), _ = small.reader.all_partitions()[0]
    index = (deadline + ahead) % small.node.network.proving.deadlines
    entries = (PartitionSectors(index, partition, bitfield_of([sector])),)
    if method == 10:
        params = to_cbor(DeclareFaultsParams(entries))
    else:
        params = to_cbor(DeclareFaultsRecoveredParams(entries))
    return run(small, small.address, method=method, params=params, who=who)


def withdraw(small: SmallMiner, amount: int, who: Any) -> Applied:
    params = to_cbor(WithdrawBalanceParams(amount))
    return run(small, small.address, method=16, params=params, who=who)


def create(small: SmallMiner, *, worker: Any = WORKER, proof: int = POST_PROOF, value: int = FIL) -> Applied:
    params = to_cbor(CreateMinerParams(OWNER.address, worker.address, proof, b"", ()))
    return run(small, POWER_ACTOR, who=OWNER, method=2, params=params, value=value)


def owner(small: SmallMiner, address: Any, who: Any) -> Applied:
    params = to_cbor(ChangeOwnerAddressParams(address))
    return run(small, small.address, method=23, params=params, who=who)


def worker(small: SmallMiner, new: Any, who: Any) -> Applied:
    params = to_cbor(ChangeWorkerAddressParams(new.address, ()))
    return run(small, small.address, method=3, params=params, who=who)


def extend(
    small: SmallMiner,
    *,
    expiration: int = 1000,
    sector: int = 1,
    deadline: int | None = None,
    partition: int = 0,
    who: Any = WORKER,
) -> Applied:
    """`expiration` counts from the old one."""
    (home, _), _ = small.reader.all_partitions()[0]
    old = small.reader.all_sectors()[0].expiration
    entry = ExpirationExtension2(
        home if deadline is None else deadline, partition, bitfield_of([sector]), (), old + expiration
    )
    params = to_cbor(ExtendSectorExpiration2Params((entry,)))
    return run(small, small.address, method=32, params=params, who=who)


def terminate(small: SmallMiner, *, ahead: int = 0, sector: int = 1, who: Any = WORKER) -> Applied:
    (home, _), _ = small.reader.all_partitions()[0]
    index = (home + ahead) % small.node.network.proving.deadlines
    params = to_cbor(TerminateSectorsParams((PartitionSectors(index, 0, bitfield_of([sector])),)))
    return run(small, small.address, method=9, params=params, who=who)


CASES: dict[str, Callable[[SmallMiner], Applied]] = {
    "send -> unknown f2": lambda m: run(m, actor_address(b"nobody"), value=1),
    "send -> unknown f0": lambda m: run(m, id_address(999_999), value=1),
    "unhandled method 99 on account": lambda m: run(m, OWNER.address, method=99),
    "unhandled method 99 on miner": lambda m: run(m, id_address(1000), method=99),
    "CreateMiner without deposit": lambda m: create(m, value=0),
    "CreateMiner secp worker (not BLS)": lambda m: create(m, worker=OWNER),
    "WithdrawBalance negative": lambda m: withdraw(m, -FIL, OWNER),
    "WithdrawBalance forbidden (worker)": lambda m: withdraw(m, FIL, WORKER),
    "PreCommit empty batch": lambda m: precommit(m),
    "PreCommit wrong caller": lambda m: precommit(m, {}, who=STRANGER),
    "PreCommit number already allocated": lambda m: precommit(m, {"sector_number": 1}),
    "PreCommit duplicate in batch": lambda m: precommit(m, {}, {}),
    "PreCommit bad sealed CID prefix": lambda m: precommit(m, {"sealed_cid": NOT_A_CID}),
    "PreCommit V1 seal proof (3)": lambda m: precommit(m, {"seal_proof": 0}),
    "PreCommit unknown seal proof 77": lambda m: precommit(m, {"seal_proof": 77}),
    "PreCommit wrong seal proof (2KiB)": lambda m: precommit(m, {"seal_proof": 6}),
    "PreCommit future seal rand epoch": lambda m: precommit(m, {"seal_rand_epoch": 10**6}),
    "PreCommit expiration too soon": lambda m: precommit(m, {"expiration": 90_000}),
    "PreCommit expiration too far": lambda m: precommit(m, {"expiration": 5_000_000}),
    "PreCommit sector number too big": lambda m: precommit(m, {"sector_number": 1 << 63}),
    "PreCommit truncated params": lambda m: run(m, m.address, method=28, params=b"\x81\x81\x87"),
    "deprecated PreCommitSector (6)": lambda m: run(m, m.address, method=6),
    "deprecated PreCommitSectorBatch (25)": lambda m: run(m, m.address, method=25),
    "ExtendSectorExpiration (8) 1 sector": lambda m: run(m, m.address, method=8),
    "ProveCommitSectors3 32GiB n=1 bad proof, require_success=false": lambda m: prove(m, 2),
    "ProveCommitSectors3 32GiB n=1 bad proof, require_success=true": lambda m: prove(
        m, 2, require_activation_success=True
    ),
    "ProveCommit no sectors": lambda m: prove(m),
    "ProveCommit already proven sector": lambda m: prove(m, 1),
    "ProveCommit unknown sector": lambda m: prove(m, 7777),
    "ProveCommit wrong caller": lambda m: prove(m, 2, who=STRANGER),
    "ProveCommit proof count mismatch": lambda m: prove(m, 2, sector_proofs=()),
    "ProveCommitSectors3 32GiB aggregate type 0": lambda m: prove(
        m, 2, sector_proofs=(), aggregate_proof=b"x", aggregate_proof_type=0
    ),
    "ProveCommitSectors3 32GiB aggregate n=3 (below minimum)": lambda m: prove(
        m, 2, sector_proofs=(), aggregate_proof=b"x", aggregate_proof_type=1
    ),
    "PoSt duplicate partition in message": lambda m: post(m, partitions=parts(0, 0)),
    "PoSt wrong deadline index": lambda m: post(m, deadline=(m.reader.all_partitions()[0][0][0] + 1) % 6),
    "PoSt deadline 48": lambda m: post(m, deadline=6),
    "PoSt partition 9 does not exist": lambda m: post(m, partitions=parts(9)),
    "PoSt no partitions": lambda m: post(m, partitions=()),
    "PoSt four partitions": lambda m: post(m, partitions=parts(0, 1, 2, 3)),
    "PoSt wrong randomness": lambda m: post(m, chain_commit_rand=bytes(32)),
    "PoSt randomness 33 bytes": lambda m: post(m, chain_commit_rand=bytes(33)),
    "PoSt empty randomness": lambda m: post(m, chain_commit_rand=b""),
    "PoSt commit epoch before challenge": lambda m: post(m, chain_commit_epoch=1),
    "PoSt commit epoch in the future": lambda m: post(m, chain_commit_epoch=10**6),
    "PoSt wrong proof type (32GiB)": lambda m: post(m, proofs=(PoStProof(13, b"x"),)),
    "PoSt V1 proof type (5)": lambda m: post(m, proofs=(PoStProof(5, b"x"),)),
    "PoSt proof type 99": lambda m: post(m, proofs=(PoStProof(99, b"x"),)),
    "PoSt wrong caller": lambda m: post(m, who=STRANGER),
    "PoSt two proofs": lambda m: post(m, proofs=(PoStProof(10, b"x"),) * 2),
    "PoSt zero proofs": lambda m: post(m, proofs=()),
    "PoSt skipped sector not in partition": lambda m: post(m, partitions=parts(0, skipped=(99,))),
    "PoSt all sectors of the only partition skipped": lambda m: post(m, partitions=parts(0, skipped=(1,))),
    "PoSt with recovering sectors, bad proof": lambda m: post(m, proofs=(PoStProof(10, b"x"),)),
    "DeclareFaults current deadline (too late)": lambda m: declare(m, 10),
    "DeclareFaults partition not found": lambda m: declare(m, 10, ahead=4, partition=7),
    "DeclareFaults sector not in partition": lambda m: declare(m, 10, sector=9),
    "DeclareFaults wrong caller": lambda m: declare(m, 10, who=STRANGER),
    "DeclareFaultsRecovered current deadline (too late)": lambda m: declare(m, 11),
    "DeclareFaultsRecovered wrong caller": lambda m: declare(m, 11, who=STRANGER),
    "Extend: reduce": lambda m: extend(m, expiration=-1000),
    "Extend: too far": lambda m: extend(m, expiration=4_000_000),
    "Extend: unknown sector": lambda m: extend(m, sector=99_999),
    "Extend: wrong partition": lambda m: extend(m, partition=3),
    "Extend: bad deadline": lambda m: extend(m, deadline=48),
    "Extend: wrong caller": lambda m: extend(m, who=STRANGER),
    "TerminateSectors unknown": lambda m: terminate(m, sector=9),
    "TerminateSectors wrong caller": lambda m: terminate(m, who=STRANGER),
    "TerminateSectors in the current (immutable) deadline": lambda m: terminate(m),
    "ChangeWorkerAddress by worker (forbidden)": lambda m: worker(m, WORKER, WORKER),
    "ChangeWorkerAddress to secp": lambda m: worker(m, STRANGER, OWNER),
    "ChangeOwnerAddress with key address": lambda m: owner(m, STRANGER.address, OWNER),
}
BEFORE_OPENING = ("DeclareFaults sector not in partition", "TerminateSectors unknown")
"""Need a deadline that can still be changed."""


@pytest.mark.parametrize("label", [label for label in CASES if label not in BEFORE_OPENING])
def test_refused_as_on_a_real_node(miner, label):
    exit_code, text = recorded()[label]

    applied = CASES[label](miner)

    assert applied.receipt.exit_code == exit_code
    assert words(applied.error) == words(text)


def test_refused_before_the_deadline_opens():
    small = small_miner(chain())
    small.add_sectors(1)

    applied = {label: CASES[label](small) for label in BEFORE_OPENING}
    small.node.close()

    for label in BEFORE_OPENING:
        assert applied[label].receipt.exit_code == recorded()[label][0]
        assert words(applied[label].error) == words(recorded()[label][1])
