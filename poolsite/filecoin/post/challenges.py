"""PoSt challenges: which nodes of which sectors a proof of space-time must open.

Source: filecoin-project/rust-fil-proofs storage-proofs-post/src/fallback/{vanilla,utils}.rs,
filecoin-proofs/src/api/{post_util,winning_post}.rs.
"""

from __future__ import annotations

import struct
from hashlib import sha256

from poolsite.filecoin.porep.parameters import ApiVersion
from poolsite.filecoin.post.parameters import PoStKind, PoStParameters
from poolsite.filecoin.scalars import trimmed


class BadSectorSet(ValueError):
    """A set of sectors from which none can be chosen."""


def post_randomness(randomness: bytes) -> bytes:
    """Return chain randomness as a scalar: the two top bits cleared.

    Source: lotus chain/proofs/ffi/verifier_cgo.go (randomness[31] &= 0x3f).
    """
    return trimmed(randomness)


def leaf_challenge(randomness: bytes, sector_number: int, *, index: int, nodes: int) -> int:
    """Return the node that challenge `index` opens; unlike in PoRep it may be node 0.

    The first eight bytes of SHA-256 of randomness, sector and index (both u64, little-endian), modulo
    `nodes`. Source: vanilla.rs generate_leaf_challenge.
    """
    digest = sha256(randomness + struct.pack("<QQ", sector_number, index)).digest()
    return int.from_bytes(digest[:8], "little") % nodes


def sector_challenges(
    parameters: PoStParameters, randomness: bytes, *, sector_number: int, position: int
) -> tuple[int, ...]:
    """Return the challenges of one sector; `position` is its place in the whole ordered list.

    Only WindowPoSt of API 1.0.0 counts the challenges of the sectors before it.
    """
    counted = parameters.kind is PoStKind.WINDOW and parameters.api_version is ApiVersion.V1_0
    first = position * parameters.challenges if counted else 0
    return tuple(
        leaf_challenge(randomness, sector_number, index=index, nodes=parameters.nodes)
        for index in range(first, first + parameters.challenges)
    )


def winning_sector(randomness: bytes, prover_id: bytes, *, number: int, sectors: int) -> int:
    """Return the place of winning sector `number` (0 for the only one) among `sectors` eligible ones.

    The prover id keeps two miners with as many sectors from the same place.  Raises BadSectorSet if there are
    none.  Source: vanilla.rs generate_sector_challenge.
    """
    if sectors < 1:
        raise BadSectorSet("empty sector set is invalid")
    digest = sha256(prover_id + randomness + struct.pack("<Q", number)).digest()
    return int.from_bytes(digest[:8], "little") % sectors
