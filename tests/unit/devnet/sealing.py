"""A small miner on the devnet that seals and proves sectors of 2 KiB in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from poolsite.devnet.actors.miner.state_editor import Reader
from poolsite.devnet.lottery import Lottery
from poolsite.devnet.node import Devnet
from poolsite.filecoin.actors.miner_proving import (
    DeclareFaultsParams,
    DeclareFaultsRecoveredParams,
    PartitionSectors,
    PoStPartition,
    SubmitWindowedPoStParams,
)
from poolsite.filecoin.actors.miner_sectors import (
    PieceActivationManifest,
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    SectorActivationManifest,
    SectorPreCommitInfo,
)
from poolsite.filecoin.actors.power import CreateMinerParams, CreateMinerReturn
from poolsite.filecoin.address import POWER_ACTOR, Address, id_address
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deadlines import DeadlineInfo
from poolsite.filecoin.message import Receipt
from poolsite.filecoin.porep.challenges import ChallengeSource, porep_challenges
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.porep.replica import prover_id_bytes
from poolsite.filecoin.porep.sealing import SealedSector, porep_prove, sector_seal
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.proving import post_prove
from poolsite.filecoin.proof_container import porep_container, window_post_container
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.filecoin.sector import RegisteredSealProof
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import OWNER, WORKER, send

SEAL_PROOF = RegisteredSealProof.STACKED_DRG_2KIB_V1_1
POST_PROOF = int(SEAL_PROOF.window_post_proof)


@dataclass
class SmallMiner:
    """A miner actor with the sectors that were sealed for it."""

    node: Devnet
    id: int
    sealed: dict[int, SealedSector] = field(default_factory=dict)

    @property
    def address(self) -> Address:
        return id_address(self.id)

    @property
    def reader(self) -> Reader:
        """The miner after the head."""
        return Reader(self.node.chain.state_after(self.node.head.key), self.id, self.node.network)

    @property
    def entropy(self) -> bytes:
        return miner_entropy(self.address)

    def lottery(self) -> Lottery:
        return Lottery(self.node.chain, self.node.head.tipset)

    def call(self, method: int, params: bytes, **fields: Any) -> Receipt:
        return send(self.node, WORKER, self.address, method=method, params=params, **fields)

    def replica(
        self, number: int, ticket_epoch: int, *, data: bytes = b"", kind: RegisteredSealProof = SEAL_PROOF
    ) -> SealedSector:
        """Seal a sector of zeros, or of padded data, with the ticket of an epoch."""
        parameters = seal_parameters(kind)
        sealed = sector_seal(
            data or bytes(parameters.sector_bytes),
            parameters=parameters,
            prover_id=prover_id_bytes(self.id),
            sector_number=number,
            ticket=self.lottery().tickets(Tag.SEAL_RANDOMNESS, ticket_epoch, self.entropy),
        )
        self.sealed[number] = sealed
        return sealed

    def seal(self, number: int, ticket_epoch: int, data: bytes = b"") -> SectorPreCommitInfo:
        """Seal a sector and say what a pre-commit says of it."""
        sealed = self.replica(number, ticket_epoch, data=data)
        network = self.node.network
        activation = self.node.head.height + network.max_prove_commit_duration
        return SectorPreCommitInfo(
            seal_proof=int(SEAL_PROOF),
            sector_number=number,
            sealed_cid=commr_cid(sealed.comm_r),
            seal_rand_epoch=ticket_epoch,
            deal_ids=(),
            expiration=activation + network.min_sector_expiration + 1000,
            unsealed_cid=commd_cid(sealed.tree_d.root) if data else None,
        )

    def precommit(self, *infos: SectorPreCommitInfo, **fields: Any) -> Receipt:
        params = to_cbor(PreCommitSectorBatch2Params(infos))
        return self.call(28, params, **fields)

    def porep(self, number: int) -> bytes:
        """The proof of a pre-committed sector, once its seed is there."""
        row = self.reader.precommit(number)
        assert row is not None
        seed_epoch = row.epoch + self.node.network.pre_commit_challenge_delay
        seed = self.lottery().beacon(Tag.INTERACTIVE_SEAL_CHALLENGE_SEED, seed_epoch, self.entropy)
        return seal_container(self.sealed[number], seed)

    def prove(
        self,
        proofs: dict[int, bytes],
        *,
        require_all: bool = True,
        must_notify: bool = False,
        pieces: Mapping[int, tuple[PieceActivationManifest, ...]] | None = None,
        **fields: Any,
    ) -> Receipt:
        params = ProveCommitSectors3Params(
            sector_activations=tuple(
                SectorActivationManifest(number, (pieces or {}).get(number, ())) for number in proofs
            ),
            sector_proofs=tuple(proofs.values()),
            aggregate_proof=b"",
            aggregate_proof_type=None,
            require_activation_success=require_all,
            require_notification_success=must_notify,
        )
        return self.call(34, to_cbor(params), **fields)

    def wait_seed(self, number: int) -> None:
        """Let epochs pass until the sector can be proven."""
        row = self.reader.precommit(number)
        assert row is not None
        advance_to(self.node, row.epoch + self.node.network.pre_commit_challenge_delay + 1)

    def add_sectors(self, *numbers: int) -> None:
        """Seal, pre-commit and prove sectors."""
        assert (
            self.precommit(*(self.seal(number, self.node.head.height - 1) for number in numbers)).exit_code
            == 0
        )
        self.wait_seed(numbers[0])
        receipt = self.prove({number: self.porep(number) for number in numbers})
        assert receipt.exit_code == 0

    def deadline(self, index: int) -> DeadlineInfo:
        """A deadline as of the head, the next time it is not over."""
        return self.reader.deadline_at(index, self.node.head.height).next_not_elapsed()

    def wait_open(self, index: int) -> DeadlineInfo:
        """Let epochs pass until a deadline is open for a message that is pushed now."""
        info = self.deadline(index)
        if info.is_open and self.node.head.height + 2 >= info.close:
            advance_to(self.node, info.close)
            info = self.deadline(index)
        advance_to(self.node, info.open)
        return self.deadline(index)

    def post_params(
        self,
        index: int,
        partitions: tuple[int, ...] = (0,),
        *,
        skipped: tuple[int, ...] = (),
        tamper: bool = False,
    ) -> bytes:
        """Params of a WindowPoSt over the partitions' active and recovering sectors."""
        info = self.deadline(index)
        reader = self.reader
        parts = [part for at in partitions if (part := reader.partition(index, at)) is not None]
        numbers = sorted(
            number
            for part in parts
            for number in (*part.active, *part.unproven, *part.recoveries)
            if number not in skipped
        )
        randomness = self.lottery().beacon(Tag.WINDOWED_POST_CHALLENGE_SEED, info.challenge, self.entropy)
        if tamper:
            randomness = bytes(32)
        proofs = [
            post_prove(
                self.sealed[number].tree_r_last,
                self.sealed[number].tree_c.root,
                parameters=post_parameters(POST_PROOF),
                randomness=post_randomness(randomness),
                sector_number=number,
            )
            for number in numbers
        ]
        commit = max(info.challenge, 0)
        return to_cbor(
            SubmitWindowedPoStParams(
                deadline=index,
                partitions=tuple(
                    PoStPartition(at, bitfield_of(set(skipped) & set(part.sectors)))
                    for at, part in zip(partitions, parts, strict=True)
                ),
                proofs=(PoStProof(POST_PROOF, window_post_container(POST_PROOF, proofs)),),
                chain_commit_epoch=commit,
                chain_commit_rand=self.lottery().tickets(Tag.POST_CHAIN_COMMIT, commit, b""),
            )
        )

    def post(
        self,
        index: int,
        partitions: tuple[int, ...] = (0,),
        *,
        skipped: tuple[int, ...] = (),
        tamper: bool = False,
        **fields: Any,
    ) -> Receipt:
        """Wait for the deadline and prove it."""
        self.wait_open(index)
        params = self.post_params(index, partitions, skipped=skipped, tamper=tamper)
        return self.call(5, params, **fields)

    def declare_faults(self, index: int, *numbers: int, partition: int = 0, **fields: Any) -> Receipt:
        entry = PartitionSectors(index, partition, bitfield_of(numbers))
        return self.call(10, to_cbor(DeclareFaultsParams((entry,))), **fields)

    def declare_recovered(self, index: int, *numbers: int, partition: int = 0, **fields: Any) -> Receipt:
        entry = PartitionSectors(index, partition, bitfield_of(numbers))
        params = to_cbor(DeclareFaultsRecoveredParams((entry,)))
        return self.call(11, params, **fields)

    @property
    def power(self) -> int:
        """Raw power after the head."""
        claim = self.reader.state.get("claims", self.id)
        raw: int = claim.raw
        return raw


def seal_container(sealed: SealedSector, seed: bytes) -> bytes:
    """The proof of a sealed sector."""
    source = ChallengeSource(sealed.replica_id, sealed.comm_r, seed)
    partitions = [
        [porep_prove(sealed, node) for node in porep_challenges(sealed.parameters, source, partition=at)]
        for at in range(sealed.parameters.partitions)
    ]
    return porep_container(sealed.parameters.number, partitions)


def small_miner(node: Devnet, *, value: int = 1 * FIL, extra: int = 100 * FIL) -> SmallMiner:
    """Create a miner owned by OWNER with WORKER as worker, and give it funds."""
    params = CreateMinerParams(OWNER.address, WORKER.address, POST_PROOF, b"", ())
    receipt = send(node, OWNER, POWER_ACTOR, method=2, params=to_cbor(params), value=value)
    assert receipt.exit_code == 0
    miner = SmallMiner(node, from_cbor(CreateMinerReturn, receipt.return_).id_address.actor_id)
    send(node, OWNER, miner.address, value=extra)
    return miner
