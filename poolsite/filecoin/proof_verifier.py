"""Checks of the proofs that a chain carries: our container by its tag, anything else as Groth16.

A Groth16 proof is checked by the circuit's verifying key.  Who has none, and need not decide, checks its
form: 192 bytes for each partition, all of them points of the groups.

In both cases the public inputs follow from what the chain knows, never from the proof: commitments, miner,
sector number and randomness.  So a proof holds for one sector of one miner at one time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.container_checks import (
    porep_proof_check,
    update_proof_check,
    window_post_check,
    winning_post_check,
)
from poolsite.filecoin.groth16.aggregate import BadAggregate, aggregate_decode, aggregate_size
from poolsite.filecoin.groth16.aggregate_challenges import porep_include
from poolsite.filecoin.groth16.aggregate_verification import aggregate_verify
from poolsite.filecoin.groth16.circuits import porep_circuit_id, post_circuit_id, update_circuit_id
from poolsite.filecoin.groth16.powers import POWERS_NAME, BadPowers, aggregate_key_read
from poolsite.filecoin.groth16.public_inputs import (
    porep_public_inputs,
    post_public_inputs,
    update_public_inputs,
)
from poolsite.filecoin.groth16.verification import (
    PROOF_BYTES,
    BadGroth16Proof,
    BadVerifyingKey,
    partitions_form_check,
    partitions_verify,
)
from poolsite.filecoin.porep.parameters import ChallengeRule
from poolsite.filecoin.porep.verification import BadPoRep
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import PoStKind
from poolsite.filecoin.post.verification import BadPoSt
from poolsite.filecoin.proof_container import PREFIX, BadProofContainer, aggregate_proofs
from poolsite.filecoin.proof_inputs import porep_inputs_of, post_inputs_of, update_inputs_of
from poolsite.filecoin.scalars import BadScalar
from poolsite.filecoin.update.verification import BadUpdate

if TYPE_CHECKING:
    from poolsite.filecoin.groth16.keys import VerifyingKeys
    from poolsite.filecoin.groth16.powers import AggregateKey
    from poolsite.filecoin.groth16.verification import VerifyingKey

BAD_PROOFS = (BadProofContainer, BadPoRep, BadPoSt, BadUpdate, BadGroth16Proof, BadAggregate)
"""What a proof that is refused raises, with the reason."""


class KeyMissing(BadGroth16Proof):
    """There is no verifying key of the circuit, or it is damaged; with one the same proof may be good."""


def is_container(proof: bytes) -> bool:
    """Return whether bytes are our container of vanilla proofs, by their tag."""
    return proof.startswith(PREFIX)


def has_groth16_size(proof: bytes) -> bool:
    """Return whether bytes may be Groth16 proofs, one for each partition."""
    return bool(proof) and not len(proof) % PROOF_BYTES


@dataclass(frozen=True, slots=True)
class ProvenSeal:
    """What the proof of one sector's seal must be about."""

    number: int
    """Number among the miner's sectors, at most 2^63 - 1."""
    comm_r: bytes
    """Commitment to the replica, 32 bytes."""
    comm_d: bytes
    """Commitment to the data, 32 bytes."""
    ticket: bytes
    """Randomness from which its labels began, 32 bytes."""
    seed: bytes
    """Interactive randomness, 32 bytes; unused by non-interactive proofs."""


@dataclass(frozen=True, slots=True)
class ProofVerifier:
    """Checks proofs as one chain does; each check raises one of BAD_PROOFS."""

    keys: VerifyingKeys
    """Of the circuits whose Groth16 proofs can be checked in full."""
    takes_containers: bool = True
    """Whether the chain takes our container of vanilla proofs."""
    needs_keys: bool = True
    """Whether Groth16 proofs of circuits without a key are refused; otherwise their form is checked."""

    def porep(
        self,
        proof: bytes,
        *,
        seal_proof: int,
        comm_r: bytes,
        comm_d: bytes,
        miner_id: int,
        sector_number: int,
        ticket: bytes,
        seed: bytes,
    ) -> None:
        """Check the proof that a sector was sealed."""
        if self._is_container(proof):
            porep_proof_check(
                proof,
                seal_proof=seal_proof,
                comm_r=comm_r,
                comm_d=comm_d,
                miner_id=miner_id,
                sector_number=sector_number,
                ticket=ticket,
                seed=seed,
            )
            return
        parameters, inputs = porep_inputs_of(
            seal_proof,
            comm_r=comm_r,
            comm_d=comm_d,
            miner_id=miner_id,
            sector_number=sector_number,
            ticket=ticket,
            seed=seed,
        )
        self._groth16(porep_circuit_id(parameters), proof, lambda: porep_public_inputs(parameters, inputs))

    def porep_aggregate(
        self, proof: bytes, *, seal_proof: int, miner_id: int, sectors: Sequence[ProvenSeal]
    ) -> None:
        """Check one proof that several sectors were sealed, in their order.

        All have the same seal proof.  A Groth16 aggregate holds the proofs of all partitions of all sectors,
        and its transcript begins with each sector's seed and comm_r.
        """
        if self._is_container(proof):
            parts = aggregate_proofs(proof, seal_proof=seal_proof)
            if len(parts) != len(sectors):
                raise BadProofContainer(f"{len(parts)} proofs for {len(sectors)} sectors")
            for part, sector in zip(parts, sectors, strict=True):
                self.porep(
                    part,
                    seal_proof=seal_proof,
                    comm_r=sector.comm_r,
                    comm_d=sector.comm_d,
                    miner_id=miner_id,
                    sector_number=sector.number,
                    ticket=sector.ticket,
                    seed=sector.seed,
                )
            return
        known = [
            porep_inputs_of(
                seal_proof,
                comm_r=sector.comm_r,
                comm_d=sector.comm_d,
                miner_id=miner_id,
                sector_number=sector.number,
                ticket=sector.ticket,
                seed=sector.seed,
            )
            for sector in sectors
        ]
        if not known:
            raise BadGroth16Proof("an aggregate without sectors")
        parameters = known[0][0]
        inputs = self._public(
            lambda: [one for _, own in known for one in porep_public_inputs(parameters, own)]
        )
        has_seeds = parameters.rule is not ChallengeRule.NON_INTERACTIVE
        include = porep_include(
            [sector.comm_r for sector in sectors],
            seeds=[sector.seed for sector in sectors] if has_seeds else None,
        )
        circuit_id = porep_circuit_id(parameters)
        key, setup = self._key(circuit_id), self._aggregate_key()
        if key is not None and setup is not None:
            aggregate_verify(key, proof, setup=setup, inputs=inputs, include=include)
        elif aggregate_decode(proof).proofs != aggregate_size(len(inputs)):
            raise BadAggregate(f"the number of proofs in the aggregate does not fit {len(inputs)} proofs")

    def window_post(
        self,
        proof: bytes,
        *,
        post_proof: int,
        randomness: bytes,
        miner_id: int,
        sectors: Sequence[tuple[int, bytes]],
    ) -> None:
        """Check the proof that sectors (number, comm_r) are stored.

        Numbers may repeat: the chain lists a good sector in the place of each faulty one.
        """
        if self._is_container(proof):
            window_post_check(
                proof, post_proof=post_proof, randomness=randomness, miner_id=miner_id, sectors=sectors
            )
            return
        self._post(PoStKind.WINDOW, proof, post_proof, randomness, miner_id, sectors)

    def winning_post(
        self,
        proof: bytes,
        *,
        post_proof: int,
        randomness: bytes,
        miner_id: int,
        sectors: Sequence[tuple[int, bytes]],
    ) -> None:
        """Check the proof of the one sector that a block win asks for."""
        if self._is_container(proof):
            winning_post_check(
                proof, post_proof=post_proof, randomness=randomness, miner_id=miner_id, sectors=sectors
            )
            return
        self._post(PoStKind.WINNING, proof, post_proof, randomness, miner_id, sectors)

    def update(
        self, proof: bytes, *, update_proof: int, comm_r_old: bytes, comm_r_new: bytes, comm_d_new: bytes
    ) -> None:
        """Check the proof that data was encoded into a sector."""
        if self._is_container(proof):
            update_proof_check(
                proof,
                update_proof=update_proof,
                comm_r_old=comm_r_old,
                comm_r_new=comm_r_new,
                comm_d_new=comm_d_new,
            )
            return
        parameters, inputs = update_inputs_of(
            update_proof, comm_r_old=comm_r_old, comm_r_new=comm_r_new, comm_d_new=comm_d_new
        )
        self._groth16(update_circuit_id(parameters), proof, lambda: update_public_inputs(parameters, inputs))

    def _is_container(self, proof: bytes) -> bool:
        """Return whether a proof is our container.  Raises BadProofContainer where the chain takes none."""
        if is_container(proof) and not self.takes_containers:
            raise BadProofContainer(
                "a container of vanilla proofs, but the chain accepts only Groth16 proofs"
            )
        return is_container(proof)

    def _post(
        self,
        kind: PoStKind,
        proof: bytes,
        post_proof: int,
        randomness: bytes,
        miner_id: int,
        sectors: Sequence[tuple[int, bytes]],
    ) -> None:
        """Check a Groth16 PoSt over distinct sectors, ascending by number, as filecoin-ffi orders them.

        Raises BadPoSt for another kind of proof or number of sectors, BadGroth16Proof, KeyMissing.
        """
        parameters, proven = post_inputs_of(post_proof, randomness, miner_id=miner_id, sectors=sectors)
        if parameters.kind is not kind:
            raise BadPoSt(f"registered proof {post_proof} is not a {kind} PoSt")
        if not proven or (kind is PoStKind.WINNING and len(proven) != 1):
            raise BadPoSt(f"{len(proven)} sectors")
        scalar = post_randomness(randomness)
        self._groth16(
            post_circuit_id(parameters),
            proof,
            lambda: post_public_inputs(parameters, scalar, sectors=proven),
        )

    def _groth16(
        self, circuit_id: str, proof: bytes, public_inputs: Callable[[], Sequence[Sequence[int]]]
    ) -> None:
        """Check the proofs of all partitions by the circuit's key, or their form where that is enough.

        The public inputs are computed first: a commitment that is no scalar is refused with or without a key.
        Raises BadGroth16Proof, KeyMissing.
        """
        inputs = self._public(public_inputs)
        key = self._key(circuit_id)
        if key is not None:
            partitions_verify(key, proof, inputs=inputs)
        else:
            partitions_form_check(proof, partitions=len(inputs))

    def _public(self, public_inputs: Callable[[], Sequence[Sequence[int]]]) -> Sequence[Sequence[int]]:
        """Return the public inputs.  Raises BadGroth16Proof where a commitment is no scalar."""
        try:
            return public_inputs()
        except BadScalar as error:
            raise BadGroth16Proof(f"a commitment is not a scalar: {error}") from None

    def _key(self, circuit_id: str) -> VerifyingKey | None:
        """Return a circuit's key, None where the form of a proof is enough without.  Raises KeyMissing."""
        try:
            key = self.keys.get(circuit_id)
        except (BadVerifyingKey, OSError) as error:
            raise KeyMissing(f"the verifying key cannot be used: {error}") from None
        if key is None and self.needs_keys:
            raise KeyMissing(f"there is no verifying key for {circuit_id} in {self.keys.folder}")
        return key

    def _aggregate_key(self) -> AggregateKey | None:
        """Return the set-up of aggregates, as `_key` does."""
        try:
            return aggregate_key_read(self.keys.folder / POWERS_NAME)
        except FileNotFoundError:
            if self.needs_keys:
                raise KeyMissing(f"there is no {POWERS_NAME} in {self.keys.folder}") from None
            return None
        except (BadPowers, OSError) as error:
            raise KeyMissing(f"{POWERS_NAME} cannot be used: {error}") from None
