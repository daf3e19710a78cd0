"""Checking the parameters of ComputeProof: what no prover could answer is refused.

A prover's failure is a win that was lost, and raises an alarm; a caller's mistake is none.
"""

from __future__ import annotations

from typing import Final

from poolsite.filecoin.cids import BadCid, cid_to_commr
from poolsite.filecoin.porep.parameters import UnknownSealProof, seal_parameters
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import BadParam, cid, fields, number

RANDOMNESS_BYTES: Final = 32
SECTORS: Final = 1
"""Sectors in one WinningPoSt.  Source: lotus chain/actors/policy WinningPoStSectorCount."""


def winning_sector_read(sectors: Json, randomness: bytes) -> int:
    """Return the number of the sector that the winning proof is to be of.  Raises RpcError."""
    if not isinstance(sectors, list) or len(sectors) != SECTORS:
        raise RpcError(f"sectorInfos: a winning proof is of {SECTORS} sector")
    if len(randomness) != RANDOMNESS_BYTES:
        raise RpcError(f"rand: {len(randomness)} bytes instead of {RANDOMNESS_BYTES}")
    try:
        values = fields(sectors[0])
        seal_parameters(number(values.get("sealproof")))
        cid_to_commr(cid(values.get("sealedcid")))
        return number(values.get("sectornumber"))
    except (BadParam, BadCid, UnknownSealProof) as error:
        raise RpcError(f"sectorInfos: {error}") from None
