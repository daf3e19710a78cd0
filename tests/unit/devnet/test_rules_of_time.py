"""Refusals that depend on the epoch or on what a miner owes, with the real actor's codes and words."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from poolsite.devnet.state.miner_rows import MINERS
from poolsite.devnet.state.rows import ACTORS
from poolsite.devnet.state.sector_rows import precommits_of
from poolsite.filecoin.actors.miner_proving import DeclareFaultsRecoveredParams, PartitionSectors
from poolsite.filecoin.actors.miner_sectors import (
    PieceActivationManifest,
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    SectorActivationManifest,
)
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.cids import cid_of_cbor, commd_cid
from poolsite.filecoin.codec import to_cbor
from tests.unit.devnet.later import Later
from tests.unit.devnet.people import chain
from tests.unit.devnet.sealing import SmallMiner, small_miner

NOT_A_PIECE = cid_of_cbor(b"")


@pytest.fixture(scope="module")
def miner():
    """A miner with a proven sector 1 and a pre-committed sector 2."""
    small = small_miner(chain(each=100_000 * FIL))
    small.add_sectors(1)
    small.precommit(small.seal(2, small.node.head.height - 1))
    yield small
    small.node.close()


class Asked:
    """The miner's worker at a later epoch, in a state that the test may change."""

    def __init__(self, small: SmallMiner, epochs: int = 1) -> None:
        self.small = small
        self.later = Later(small.node, small.node.head.height + epochs)
        self.worker = small.reader.miner.worker

    def change(self, **columns: Any) -> None:
        row = self.later.draft.get(MINERS, self.small.id)
        self.later.draft.put(MINERS, self.small.id, replace(row, **columns))

    def call(self, method: int, params: bytes) -> tuple[int, str]:
        code, _, words = self.later.call(self.worker, self.small.address, method=method, params=params)
        return code, words

    def precommit(self, **changes: Any) -> tuple[int, str]:
        info = self.small.seal(50, self.small.node.head.height - 1)
        wish = PreCommitSectorBatch2Params((replace(info, **changes),))
        return self.call(28, to_cbor(wish))

    def prove(
        self, *, pieces: tuple[PieceActivationManifest, ...] = (), must_succeed: bool = True
    ) -> tuple[int, str]:
        wish = ProveCommitSectors3Params(
            sector_activations=(SectorActivationManifest(2, pieces),),
            sector_proofs=(b"no proof",),
            aggregate_proof=b"",
            aggregate_proof_type=None,
            require_activation_success=must_succeed,
            require_notification_success=False,
        )
        return self.call(34, to_cbor(wish))


def test_a_seal_ticket_expires(miner):
    lookback = miner.node.network.max_precommit_randomness_lookback
    ticket = miner.node.head.height - 1

    def tried(after: int) -> tuple[int, str]:
        asked = Asked(miner, after)
        end = asked.later.machine.epoch + miner.node.network.max_prove_commit_duration + 600_000
        return asked.precommit(seal_rand_epoch=ticket, expiration=end)

    assert tried(lookback - 1)[0] == 0
    now = miner.node.head.height + lookback
    assert tried(lookback) == (
        16,
        f"seal challenge epoch {ticket} too old, must be after {now - lookback}",
    )


def test_the_data_of_a_precommit_must_be_a_commitment(miner):
    assert Asked(miner).precommit(unsealed_cid=NOT_A_PIECE) == (16, "unsealed CID had wrong prefix")


def test_a_miner_that_committed_a_consensus_fault_is_barred_for_a_while(miner):
    asked = Asked(miner)
    asked.change(consensus_fault_elapsed=asked.later.machine.epoch + 10)

    assert asked.precommit() == (18, "pre-commit not allowed during active consensus fault")
    wish = DeclareFaultsRecoveredParams((PartitionSectors(0, 0, bitfield_of([1])),))
    code, words = asked.call(11, to_cbor(wish))
    assert (code, words) == (18, "recovery not allowed during active consensus fault")

    asked.change(consensus_fault_elapsed=asked.later.machine.epoch - 1)
    assert asked.precommit()[0] == 0


def test_a_deposit_must_be_there(miner):
    asked = Asked(miner)
    actor = asked.later.draft.get(ACTORS, miner.id)
    row = miner.reader.miner
    tied = row.locked + row.deposits + row.pledge
    asked.later.draft.put(ACTORS, miner.id, replace(actor, balance=tied))

    code, words = asked.precommit()

    assert code == 19
    assert re.fullmatch(r"insufficient funds 0\.0 for pre-commit deposit: \d+\.\d+", words)


def test_a_debt_must_be_paid_first(miner):
    asked = Asked(miner)
    actor = asked.later.draft.get(ACTORS, miner.id)
    row = miner.reader.miner
    asked.later.draft.put(ACTORS, miner.id, replace(actor, balance=row.locked + row.deposits + row.pledge))
    asked.change(debt=FIL)

    code, words = asked.precommit()

    assert code == 19
    assert words.endswith("unlocked balance can not repay fee debt (0.0 < 1.0)")


def test_a_seed_must_have_come_and_not_be_long_gone(miner):
    network = miner.node.network
    row = miner.node.chain.state_after(miner.node.head.key).get(precommits_of(miner.id), 2)
    seed = row.epoch + network.pre_commit_challenge_delay

    early = Asked(miner, seed - miner.node.head.height)
    assert early.prove() == (18, "too early to prove sector")
    gone = Asked(miner, row.epoch + network.max_prove_commit_duration + 1 - miner.node.head.height)
    assert gone.prove() == (16, "invalid pre-commit 0 while requiring activation success: sector 2")
    assert gone.prove(must_succeed=False) == (16, "no valid precommits specified")


def test_the_pieces_must_be_what_was_precommitted(miner):
    row = miner.node.chain.state_after(miner.node.head.key).get(precommits_of(miner.id), 2)
    seed = row.epoch + miner.node.network.pre_commit_challenge_delay
    asked = Asked(miner, seed + 1 - miner.node.head.height)
    piece = PieceActivationManifest(commd_cid(bytes(31) + b"\x01"), 2048, None, ())

    code, words = asked.prove(pieces=(piece,))

    assert code == 16
    assert words.startswith("unsealed CID does not match pieces for sector 2, computed Cid(")
