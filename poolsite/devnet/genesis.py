"""The first state and block: singleton actors, funded accounts, the built-in miner with its sealed sector."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.call import Machine
from poolsite.devnet.actors.creation import miner_blank
from poolsite.devnet.actors.ledger import (
    BURNT,
    CRON,
    DATACAP,
    EAM,
    INIT,
    KIND_ACCOUNT,
    KIND_ETH,
    KIND_MINER,
    MARKET,
    POWER,
    RESERVE,
    REWARD,
    VERIFREG,
    VERIFREG_ROOT,
)
from poolsite.devnet.actors.miner.enrol import cron_enrol
from poolsite.devnet.actors.miner.partitions import sectors_add
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor
from poolsite.devnet.actors.power import BUILT_IN_MINER
from poolsite.devnet.actors.reward import BASELINE_POWER, EPOCH_REWARD, REWARD_VELOCITY
from poolsite.devnet.state.miner_rows import MINERS
from poolsite.devnet.state.power_rows import CLAIMS, Claim, PowerState, RewardState, Smoothed
from poolsite.devnet.state.rows import (
    ACTORS,
    ADDRESSES,
    MULTISIGS,
    SYSTEM,
    Actor,
    ActorId,
    InitState,
    Multisig,
)
from poolsite.devnet.state.sector_rows import EMPTY_PARTITION, Deadline, Sector
from poolsite.devnet.state.tables import EMPTY_STATE, Draft, State
from poolsite.filecoin.address import (
    EAM_NAMESPACE,
    ETH_ADDRESS_LEN,
    actor_address,
    address_to_bytes,
    delegated_address,
    id_address,
)
from poolsite.filecoin.amounts import FIL, TOTAL_FILECOIN, AttoFil
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_bytes
from poolsite.filecoin.block import BlockHeader, ElectionProof, Ticket, messages_root, receipts_root
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.gas import INITIAL_BASE_FEE
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.filecoin.sector import post_proof
from poolsite.filecoin.signature import EMPTY_BLS_AGGREGATE, Signature
from poolsite.filecoin.sigtypes import SIG_BLS
from poolsite.filecoin.tipset import Tipset, tipset_new

if TYPE_CHECKING:
    from poolsite.devnet.beacon import Beacon
    from poolsite.devnet.consensus import Rules
    from poolsite.devnet.presealed.sector import PresealedSector
    from poolsite.filecoin.address import Address

REWARD_FUNDS: Final = 1_100_000_000 * FIL
RESERVE_FUNDS: Final = 300_000_000 * FIL
OWNER_FUNDS: Final = 1_000_000 * FIL
"""Balance of the built-in miner's owner at genesis, which also is the faucet."""
MINER_FUNDS: Final = 1_000 * FIL
"""Balance of the built-in miner, for fees of the sector that it proves."""
OWNER_ID: Final = 100
NULL_ID: Final = 101
NULL_ACCOUNT: Final = delegated_address(EAM_NAMESPACE, bytes(ETH_ADDRESS_LEN))
"""0x00...00, who calls where an Ethereum call names nobody.

Source: lotus chain/gen/genesis/genesis_eth.go EthNullAddresses.
"""
FIRST_ID: Final = 1001
"""First id of actors that come later."""
SECTOR_LIFE: Final = 5 * 365 * EPOCHS_PER_DAY_MAINNET
Q128: Final = 1 << 128

_SINGLETONS: Final = {
    0: ("system", 0),
    INIT: ("init", 0),
    REWARD: ("reward", REWARD_FUNDS),
    CRON: ("cron", 0),
    POWER: ("storagepower", 0),
    MARKET: ("storagemarket", 0),
    VERIFREG: ("verifiedregistry", 0),
    DATACAP: ("datacap", 0),
    EAM: ("eam", 0),
    RESERVE: (KIND_ACCOUNT, RESERVE_FUNDS),
    BURNT: (KIND_ACCOUNT, 0),
}


@dataclass(frozen=True, slots=True)
class GenesisConfig:
    """What a chain is born with."""

    owner: Address
    """Key of the built-in miner's owner and worker (BLS)."""
    funds: Mapping[Address, int]
    """attoFIL of each account."""
    timestamp: int
    """UNIX seconds of the first block."""


def genesis_state(config: GenesisConfig, presealed: PresealedSector, rules: Rules) -> State:
    """Return the state of the first block."""
    draft = Draft(EMPTY_STATE)
    allocated = OWNER_FUNDS + MINER_FUNDS + REWARD_FUNDS + RESERVE_FUNDS
    for actor_id, (kind, balance) in _SINGLETONS.items():
        draft.put(ACTORS, actor_id, Actor(kind=kind, nonce=0, balance=balance, address=None))
    draft.put(ACTORS, NULL_ID, Actor(kind=KIND_ETH, nonce=0, balance=0, address=None, delegated=NULL_ACCOUNT))
    draft.put(ADDRESSES, address_to_bytes(NULL_ACCOUNT), ActorId(NULL_ID))
    _account(draft, OWNER_ID, config.owner, OWNER_FUNDS)
    next_id = FIRST_ID
    for address, amount in config.funds.items():
        if address == config.owner:
            continue
        _account(draft, next_id, address, amount)
        next_id += 1
        allocated += amount
    unallocated = TOTAL_FILECOIN - allocated
    if unallocated < 0:
        raise ValueError("the accounts receive more FIL than will ever exist")
    draft.put(ACTORS, VERIFREG_ROOT, Actor(kind="multisig", nonce=0, balance=unallocated, address=None))
    root = Multisig(signers=(OWNER_ID,), threshold=1, next_id=0, initial=0, start=0, unlock=0, pending=())
    draft.put(MULTISIGS, VERIFREG_ROOT, root)
    floor = max(rules.network.power_estimate_floor, rules.profile.genesis_power)
    draft.put(SYSTEM, "init", InitState(next_id=next_id, network=rules.network.name))
    draft.put(SYSTEM, "power", PowerState(miner_count=1, pledge=0, smoothed=Smoothed(floor * Q128, 0)))
    reward = Smoothed(EPOCH_REWARD * Q128, REWARD_VELOCITY * Q128)
    draft.put(
        SYSTEM,
        "reward",
        RewardState(epoch_reward=EPOCH_REWARD, smoothed=reward, baseline=BASELINE_POWER, paid=0),
    )
    _built_in_miner(draft, presealed, rules)
    return draft.seal()[0]


def _account(draft: Draft, actor_id: int, address: Address, amount: int) -> None:
    draft.put(ACTORS, actor_id, Actor(kind=KIND_ACCOUNT, nonce=0, balance=amount, address=address))
    draft.put(ADDRESSES, address_to_bytes(address), ActorId(actor_id))


def _built_in_miner(draft: Draft, presealed: PresealedSector, rules: Rules) -> None:
    """f01000 with one sector that already counts, due in deadline 0."""
    proof = post_proof(presealed.post_proof)
    robust = actor_address(b"poolsite devnet built-in miner")
    draft.put(ACTORS, BUILT_IN_MINER, Actor(kind=KIND_MINER, nonce=0, balance=MINER_FUNDS, address=robust))
    draft.put(ADDRESSES, address_to_bytes(robust), ActorId(BUILT_IN_MINER))
    miner = miner_blank(
        owner=OWNER_ID,
        worker=OWNER_ID,
        post_proof_type=int(proof),
        sector_size=proof.sector_size,
        partition_sectors=proof.partition_sectors,
    )
    allocated = bitfield_to_bytes(bitfield_of([presealed.number]))
    draft.put(MINERS, BUILT_IN_MINER, replace(miner, allocated=allocated))
    draft.put(CLAIMS, BUILT_IN_MINER, Claim(proof.sector_size, proof.sector_size))
    machine = Machine(
        profile=rules.profile,
        network=rules.network,
        draft=draft,
        epoch=0,
        randomness=_NoRandomness(),
        proofs=rules.proofs,
        invoke=_no_calls,
    )
    editor = MinerStateEditor(machine, BUILT_IN_MINER)
    cron_enrol(editor, 0)
    sector = Sector(
        number=presealed.number,
        seal_proof=presealed.seal_proof,
        sealed_cid=commr_cid(presealed.comm_r),
        activation=0,
        expiration=SECTOR_LIFE,
        deal_weight=0,
        verified_weight=0,
        pledge=0,
        power_base_epoch=0,
        flags=1,
        daily_fee=0,
        sector_key=None,
        deadline=0,
        partition=0,
    )
    editor.save_sector(sector)
    grid = editor.deadline_at(0, 0).quantization
    partition = sectors_add(EMPTY_PARTITION, [(sector.number, grid.up(sector.expiration))])
    editor.save_partition(0, 0, replace(partition, unproven=()))
    editor.save_deadline(0, Deadline(partitions=1, posted=()))


class _NoRandomness:
    """Genesis draws nothing."""

    def tickets(self, tag: object, epoch: int, entropy: bytes) -> bytes:
        raise LookupError((tag, epoch, entropy))

    def beacon(self, tag: object, epoch: int, entropy: bytes) -> bytes:
        raise LookupError((tag, epoch, entropy))


def _no_calls(call: object, to: Address) -> bytes:
    raise LookupError((call, to))


def genesis_tipset(state: State, config: GenesisConfig, beacon: Beacon, rules: Rules) -> Tipset:
    """Return the first block: of the system actor, without parents or messages."""
    ticket = hashlib.sha256(rules.network.name.encode() + config.timestamp.to_bytes(8, "big")).digest()
    header = BlockHeader(
        miner=id_address(0),
        ticket=Ticket(ticket),
        election_proof=ElectionProof(0, b""),
        beacon_entries=(beacon.entry(0),),
        win_post_proof=(),
        parents=(),
        parent_weight=0,
        height=0,
        parent_state_root=state.root(),
        parent_message_receipts=receipts_root([]),
        messages=messages_root([], []),
        bls_aggregate=Signature(SIG_BLS, EMPTY_BLS_AGGREGATE),
        timestamp=config.timestamp,
        block_sig=Signature(SIG_BLS, EMPTY_BLS_AGGREGATE),
        fork_signaling=0,
        parent_base_fee=AttoFil(INITIAL_BASE_FEE),
    )
    return tipset_new([header])
