"""From a tipset to what it leads to: executing it, its weight, the base fee after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.devnet.actors.call import Machine
from poolsite.devnet.actors.cron import cron_tick
from poolsite.devnet.actors.invoke import invoke
from poolsite.devnet.actors.ledger import resolve
from poolsite.devnet.actors.power import claim_total
from poolsite.devnet.executed_tipset import Link, tipset_row
from poolsite.devnet.execution import Applied, BlockWork, IncludedMessage, tipset_apply
from poolsite.devnet.lottery import Lottery
from poolsite.devnet.state.tables import Draft
from poolsite.devnet.store import SNAPSHOT_EVERY
from poolsite.devnet.store_rows import TipsetWrite
from poolsite.filecoin.block import receipts_root
from poolsite.filecoin.election import tipset_weight
from poolsite.filecoin.gas import GasBid, base_fee_next
from poolsite.filecoin.message import receipt_to_cbor
from poolsite.filecoin.tipset import tipset_key_to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Frame
    from poolsite.devnet.chain import Chain
    from poolsite.devnet.profile import Profile
    from poolsite.devnet.proofs import ProofChecks
    from poolsite.devnet.state.power_rows import Claim
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import SignedMessage
    from poolsite.filecoin.policy import Network
    from poolsite.filecoin.tipset import Tipset


@dataclass(frozen=True, slots=True)
class Executed:
    """A tipset with all that its execution gave."""

    link: Link
    state: State
    write: TipsetWrite
    applied: list[Applied]
    cids: list[Cid]
    """Message CIDs in the order of `applied`."""
    implicit: list[Frame]
    """What the chain itself called: cron of null rounds before, rewards, cron."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What execution depends on beside the chain."""

    network: Network
    profile: Profile
    proofs: ProofChecks


def power_total(state: State, rules: Rules) -> Claim:
    """Return the network's power for election and weight."""
    return claim_total(
        state,
        rules.profile,
        minimum=rules.network.consensus_miner_min_power,
        minimum_miners=rules.network.consensus_miner_min_miners,
    )


def weight_of(chain: Chain, tipset: Tipset, rules: Rules) -> int:
    """Weight of the chain that ends in a tipset."""
    if tipset.parents.is_empty:
        return 0
    wins = [block.election_proof.win_count for block in tipset.blocks if block.election_proof]
    total = power_total(chain.state_before(tipset), rules).quality
    return tipset_weight(tipset.parent_weight, total_power=total, win_counts=wins)


def machine_at(chain: Chain, base: Tipset, state: State, *, epoch: int, rules: Rules) -> Machine:
    """Return a machine at an epoch on a state, with the randomness of the chain that ends in `base`."""
    return Machine(
        profile=rules.profile,
        network=rules.network,
        draft=Draft(state),
        epoch=epoch,
        randomness=Lottery(chain, base),
        proofs=rules.proofs,
        invoke=invoke,
    )


def machine_for(chain: Chain, tipset: Tipset, rules: Rules) -> Machine:
    """Return a machine at a tipset's epoch, the null rounds before it already passed."""
    parent = chain.parent(tipset)
    machine = machine_at(chain, tipset, chain.state_before(tipset), epoch=tipset.height, rules=rules)
    if parent is not None:
        for epoch in range(parent.height + 1, tipset.height):
            machine.epoch = epoch
            cron_tick(machine)
    machine.epoch = tipset.height
    return machine


def tipset_execute(chain: Chain, tipset: Tipset, rules: Rules) -> Executed:
    """Execute a tipset whose blocks are stored and valid."""
    machine = machine_for(chain, tipset, rules)
    blocks = chain.tipset_messages(tipset)
    works = [
        BlockWork(
            miner=header.miner,
            win_count=header.election_proof.win_count if header.election_proof else 0,
            messages=[IncludedMessage(signed.message, signed.chain_length) for _, signed in messages],
        )
        for header, messages in zip(tipset.blocks, blocks, strict=True)
    ]
    applied = tipset_apply(machine, works, base_fee=tipset.parent_base_fee)
    state, changes = machine.draft.seal()
    flat = [entry for messages in blocks for entry in messages]
    objects: list[tuple[bytes, bytes]] = [(tipset.key.cid.data, tipset_key_to_cbor(tipset.key))]
    receipts = [result.receipt for result in applied]
    root = receipts_root(receipts, store=lambda cid, data: objects.append((cid.data, data)))
    link = Link(
        tipset=tipset,
        weight=weight_of(chain, tipset, rules),
        root=state.root(),
        receipts_root=root,
        next_base_fee=_next_base_fee(tipset, flat, rules),
    )
    write = TipsetWrite(
        row=tipset_row(link),
        changes=changes,
        receipts=[receipt_to_cbor(receipt) for receipt in receipts],
        inclusions=[cid.data for cid, _ in flat],
        senders=_senders(machine, flat),
        objects=objects,
        snapshot=state.rows() if _is_snapshot_due(chain, tipset) else None,
    )
    return Executed(link, state, write, applied, [cid for cid, _ in flat], machine.implicit)


def _senders(machine: Machine, flat: list[tuple[Cid, SignedMessage]]) -> list[tuple[int, int, bytes]]:
    rows = []
    for cid, signed in flat:
        message = signed.message
        sender = resolve(machine.draft, message.from_)
        if sender is not None:
            rows.append((sender, message.nonce, cid.data))
    return rows


def _is_snapshot_due(chain: Chain, tipset: Tipset) -> bool:
    """Return whether a multiple of SNAPSHOT_EVERY lies between the parent and this tipset."""
    parent = chain.parent(tipset)
    last = -1 if parent is None else parent.height
    return tipset.height // SNAPSHOT_EVERY > last // SNAPSHOT_EVERY


def _next_base_fee(tipset: Tipset, flat: list[tuple[Cid, SignedMessage]], rules: Rules) -> int:
    seen: set[tuple[object, int]] = set()
    bids = []
    for _, signed in flat:
        message = signed.message
        name = (message.from_, message.nonce)
        if name not in seen:
            seen.add(name)
            bids.append(GasBid(message.gas_limit, message.gas_fee_cap, message.gas_premium))
    return base_fee_next(
        tipset.parent_base_fee,
        bids,
        blocks=len(tipset.blocks),
        by_premium=rules.network.base_fee_by_premium(tipset.height),
    )
