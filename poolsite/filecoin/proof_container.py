"""The devnet's proof bytes: vanilla proofs behind a prefix, where a real chain carries Groth16 proofs.

A container is `devnet-proof/1` and one canonical CBOR array [kind, registered proof number, groups]; a
group is an array of byte strings, each one vanilla proof in bincode.  PoRep: a group per partition, an item
per challenge.  PoSt: one group, an item per sector.  SnapUp: one group, an item per partition.  Aggregate:
one group, an item per sector, each a whole PoRep container.
docs/proof-container.md describes the bytes.
"""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from poolsite.filecoin.cbor import BadCbor, decode, encode
from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.message import MAX_MESSAGE_LEN
from poolsite.filecoin.porep.parameters import SECTOR_SIZES, ChallengeRule, seal_parameters
from poolsite.filecoin.porep.vanilla import VanillaPoRepProof, porep_proof_encode
from poolsite.filecoin.post.vanilla import VanillaPoStProof, post_proof_encode
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sizes import KIB, MIB
from poolsite.filecoin.update.parameters import update_parameters
from poolsite.filecoin.update.vanilla import VanillaUpdateProof, update_proof_encode

PREFIX = b"devnet-proof/1"
"""First bytes of every container."""

UNPACK_MEMORY_BYTES = 16 << 20
"""What unpacking an aggregated proof may take besides its result."""

MAX_CONTAINER_BYTES = 64 << 20
"""Longest container that is looked at, and most that an aggregate's containers may have in all."""


class BadProofContainer(ValueError):
    """Bytes that are not a container of the expected kind."""


class ContainerKind(IntEnum):
    """What a container holds."""

    POREP = 1
    """The seal of one sector: a group for each partition, an item for each challenge."""
    WINDOW_POST = 2
    """The sectors of a WindowPoSt: one group, an item for each sector."""
    WINNING_POST = 3
    """The one sector of a WinningPoSt."""
    UPDATE = 4
    """A replica update: one group, an item for each partition."""
    AGGREGATE = 5
    """Seals of several sectors: one group, an item for each, a container of its own in xz."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container whose vanilla proofs are still bytes."""

    kind: ContainerKind
    """What it holds."""
    registered_proof: int
    """Number of the registered seal or PoSt proof."""
    groups: tuple[tuple[bytes, ...], ...]
    """Vanilla proofs in bincode, by partition."""


def container_encode(container: Container) -> bytes:
    """Write a container."""
    groups = [list(group) for group in container.groups]
    return PREFIX + encode([int(container.kind), container.registered_proof, groups])


def container_decode(data: bytes) -> Container:
    """Read what `container_encode` wrote.  Raises BadProofContainer."""
    if len(data) > MAX_CONTAINER_BYTES:
        raise BadProofContainer(f"{len(data)} bytes")
    if not data.startswith(PREFIX):
        raise BadProofContainer(f"proof does not begin with {PREFIX.decode()}")
    try:
        fields = decode(data[len(PREFIX) :])
    except BadCbor as error:
        raise BadProofContainer(f"proof is not canonical CBOR: {error}") from None
    if not isinstance(fields, list) or len(fields) != 3:
        raise BadProofContainer("proof is not an array of kind, registered proof and groups")
    kind, registered_proof, groups = fields
    if type(kind) is not int or kind not in tuple(ContainerKind):
        raise BadProofContainer("unknown kind of proof")
    if type(registered_proof) is not int or registered_proof < 0:
        raise BadProofContainer("registered proof is not a number")
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        raise BadProofContainer("groups are not arrays")
    if not all(isinstance(item, bytes) for group in groups for item in group):
        raise BadProofContainer("a vanilla proof is not a byte string")
    return Container(ContainerKind(kind), registered_proof, tuple(tuple(group) for group in groups))


def porep_container(seal_proof: int, partitions: Sequence[Sequence[VanillaPoRepProof]]) -> bytes:
    """Write the proofs of one sector, by partition and challenge."""
    groups = tuple(tuple(map(porep_proof_encode, partition)) for partition in partitions)
    return container_encode(Container(ContainerKind.POREP, seal_proof, groups))


def window_post_container(post_proof: int, proofs: Sequence[VanillaPoStProof]) -> bytes:
    """Write the proofs of the sectors of one WindowPoSt, ascending by sector number."""
    group = tuple(map(post_proof_encode, proofs))
    return container_encode(Container(ContainerKind.WINDOW_POST, post_proof, (group,)))


def winning_post_container(post_proof: int, proof: VanillaPoStProof) -> bytes:
    """Write the proof of the one sector of a WinningPoSt."""
    return container_encode(Container(ContainerKind.WINNING_POST, post_proof, ((post_proof_encode(proof),),)))


def update_container(update_proof: int, partitions: Sequence[VanillaUpdateProof]) -> bytes:
    """Write the proofs of one replica update, by partition."""
    group = tuple(map(update_proof_encode, partitions))
    return container_encode(Container(ContainerKind.UPDATE, update_proof, (group,)))


def porep_fits_message(seal_proof: int) -> bool:
    """Return whether the vanilla proofs of one sector of a registered seal proof fit into a message.

    Interactive ones of 8 MiB have 60 KB.  Non-interactive ones open so many nodes that only those of 2 KiB,
    which has 64, are few once they are compressed: 11 KB of 365; of 8 MiB 737 KB are left.
    """
    parameters = seal_parameters(seal_proof)
    small = (2 * KIB,) if parameters.rule is ChallengeRule.NON_INTERACTIVE else (2 * KIB, 8 * MIB)
    return parameters.sector_bytes in small


def update_fits_message(sector_bytes: int) -> bool:
    """Return whether the container of an update of a registered sector size fits into a message.

    By its nodes alone: 11 KB of a sector of 2 KiB, 147 KB of one of 8 MiB.
    """
    update = update_parameters(SECTOR_SIZES.index(sector_bytes))
    rows = update.node_bits // (BASE_ARITY.bit_length() - 1)
    path_nodes = 2 * rows * (BASE_ARITY - 1) + update.node_bits
    nodes = update.partitions * (update.challenges * path_nodes + update.apex_leaves)
    return nodes * NODE_BYTES < MAX_MESSAGE_LEN


def window_post_partitions_max(sector_bytes: int) -> int:
    """Return of how many partitions the container of a window's proof fits into a message, at least 1.

    A partition of two sectors of 8 MiB has 30.8 KB.
    """
    return 2 if sector_bytes >= 8 * MIB else 3


def aggregate_container(seal_proof: int, proofs: Sequence[bytes]) -> bytes:
    """Write one aggregate of the containers of several sectors, in their order.

    Each is compressed: without a seed it opens most of a 2 KiB sector over and over, 365 KB that become 11.
    """
    packed = tuple(lzma.compress(proof, preset=1) for proof in proofs)
    return container_encode(Container(ContainerKind.AGGREGATE, seal_proof, (packed,)))


def aggregate_proofs(proof: bytes, *, seal_proof: int) -> tuple[bytes, ...]:
    """Return the PoRep containers that an aggregate holds, in the order of the sectors, unchecked.

    Raises BadProofContainer.
    """
    packed = container_group(proof, kind=ContainerKind.AGGREGATE, registered_proof=seal_proof)
    proofs: list[bytes] = []
    for one in packed:
        proofs.append(_unpacked(one, at_most=MAX_CONTAINER_BYTES - sum(map(len, proofs))))
    return tuple(proofs)


def _unpacked(packed: bytes, *, at_most: int) -> bytes:
    """Return a proof out of its xz form, at most one byte more than allowed.  Raises BadProofContainer."""
    reader = lzma.LZMADecompressor(memlimit=UNPACK_MEMORY_BYTES)
    try:
        proof = reader.decompress(packed, max_length=at_most + 1)
    except lzma.LZMAError as error:
        raise BadProofContainer(f"an aggregated proof cannot be unpacked: {error}") from None
    if not reader.eof or reader.unused_data:
        raise BadProofContainer("an aggregated proof is truncated or followed by extra bytes")
    return proof


def container_groups(
    proof: bytes, *, kind: ContainerKind, registered_proof: int
) -> tuple[tuple[bytes, ...], ...]:
    """Return the groups of a container of this kind and registered proof.  Raises BadProofContainer."""
    container = container_decode(proof)
    if container.kind is not kind:
        raise BadProofContainer(f"a {container.kind.name} proof instead of {kind.name}")
    if container.registered_proof != registered_proof:
        raise BadProofContainer(
            f"registered proof {container.registered_proof} instead of {registered_proof}"
        )
    return container.groups


def container_group(proof: bytes, *, kind: ContainerKind, registered_proof: int) -> tuple[bytes, ...]:
    """Return the group of a container of a kind that has one.  Raises BadProofContainer."""
    groups = container_groups(proof, kind=kind, registered_proof=registered_proof)
    if len(groups) != 1:
        raise BadProofContainer(f"{len(groups)} groups of proofs instead of 1")
    return groups[0]
