"""Records of lotus-miner's metadata datastore, as `lotus-shed datastore import` reads them.

Source: lotus storage/pipeline/types.go SectorInfo, numassign.go; chain/gen/slashfilter;
cmd/lotus-shed/datastore.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.bitfield import BitField, bitfield_to_bytes
from poolsite.filecoin.cbor import Encoded, encode
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.varint import uvarint_write

if TYPE_CHECKING:
    from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest
    from poolsite.filecoin.block import BlockHeader
    from poolsite.filecoin.cids import Cid

PROVING: Final = "Proving"
"""State of a sector that the chain has."""
SECTOR: Final = "/sectors/{number}"
"""Key of a sector's state."""
NUMBERS_ALLOCATED: Final = "/storage/sectorsids/allocated"
"""Key of all numbers given, as run lengths."""
NUMBER_LAST: Final = "/storage/nextid"
"""The last number given, as lotus of before the bit field reads it."""
BLOCK_OF_EPOCH: Final = "/slashfilter/epoch/{miner}/{height}"
"""Key of the CID of the block that a miner signed at a height: a second one is a double fork."""
BLOCK_ON_PARENTS: Final = "/slashfilter/parents/{miner}/{parents}"
"""Key of the CID of the block that a miner signed on these parents (their tipset key in hex): a second one
is a time offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LotusPiece:
    """A piece of a sector."""

    cid: Cid
    """Piece commitment."""
    size: int
    """Padded."""
    manifest: PieceActivationManifest | None = None
    """None: zeros that fill the sector."""
    start: int = 0
    """Epoch from which a client wants it kept."""
    end: int = 0
    """Epochs between which a client wants it kept."""

    @property
    def value(self) -> dict[str, Any]:
        """Return lotus' SectorPiece as a map."""
        return {"Piece": [self.size, self.cid], "DealInfo": self._deal()}

    def _deal(self) -> dict[str, Any] | None:
        """Return its PieceDealInfo as a map; None for zeros that fill the sector.

        The members of built-in market deals stay empty: lotus refuses a piece that has them beside a
        manifest.
        """
        if self.manifest is None:
            return None
        return {
            "DealID": 0,
            "PublishCid": None,
            "DealProposal": None,
            "DealSchedule": {"StartEpoch": self.start, "EndEpoch": self.end},
            "KeepUnsealed": True,
            "PieceActivationManifest": Encoded(to_cbor(self.manifest)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LotusSector:
    """A proving sector."""

    number: int
    """Number among the miner's sectors, at most 2^63 - 1."""
    seal_proof: int
    """RegisteredSealProof code."""
    created_s: int = 0
    """Seconds since 1970."""
    pieces: tuple[LotusPiece, ...] = ()
    """In their order, fillers included."""
    ticket: bytes = b""
    """32 bytes of randomness from which labels begin."""
    ticket_epoch: int = 0
    """Epoch at which the ticket was drawn."""
    seed: bytes = b""
    """32 bytes of randomness that choose the challenges."""
    seed_epoch: int = 0
    """Epoch at which the seed was drawn."""
    comm_d: Cid | None = None
    """Of the data that were sealed."""
    comm_r: Cid | None = None
    """Of the replica that was sealed."""
    new_comm_d: Cid | None = None
    """Of the data that were put into it later."""
    new_comm_r: Cid | None = None
    """Of the replica that holds them."""
    precommit: Cid | None = None
    """Its message."""
    commit: Cid | None = None
    """The commit's message."""

    @property
    def value(self) -> dict[str, Any]:
        """Return lotus' SectorInfo as a map, with all its members, empty ones too."""
        is_upgraded = self.new_comm_r is not None
        return {
            "State": PROVING,
            "SectorNumber": self.number,
            "SectorType": self.seal_proof,
            "CreationTime": self.created_s,
            "Pieces": [piece.value for piece in self.pieces],
            "TicketValue": self.ticket,
            "TicketEpoch": self.ticket_epoch,
            "PreCommit1Out": b"",
            "PreCommit1Fails": 0,
            "CommD": self.comm_d,
            "CommR": self.comm_r,
            "Proof": b"",
            "PreCommitDeposit": b"",
            "PreCommitMessage": self.precommit,
            "PreCommitTipSet": b"",
            "PreCommit2Fails": 0,
            "SeedValue": self.seed,
            "SeedEpoch": self.seed_epoch,
            "CommitMessage": self.commit,
            "InvalidProofs": 0,
            "CCUpdate": is_upgraded,
            "CCPieces": [],
            "UpdateSealed": self.new_comm_r,
            "UpdateUnsealed": self.new_comm_d,
            "ReplicaUpdateProof": b"",
            "ReplicaUpdateMessage": None,
            "FaultReportMsg": None,
            "Return": "",
            "TerminateMessage": None,
            "TerminatedAt": 0,
            "RemoteDataUnsealed": None,
            "RemoteDataSealed": None,
            "RemoteDataCache": None,
            "RemoteCommit1Endpoint": "",
            "RemoteCommit2Endpoint": "",
            "RemoteSealingDoneEndpoint": "",
            "RemoteDataFinalized": False,
            "LastErr": "",
            "Log": [],
        }


def sector_entry(sector: LotusSector) -> bytes:
    """Return the entry of a sector."""
    return entry(SECTOR.format(number=sector.number), encode(sector.value))


def number_entries(following: int) -> list[bytes]:
    """Return the entries after which a sealer goes on with a number: all before it are allocated."""
    if following < 1:
        return []
    allocated = bitfield_to_bytes(BitField(((0, following),)))
    return [entry(NUMBERS_ALLOCATED, encode(allocated)), entry(NUMBER_LAST, uvarint_write(following - 1))]


def block_entries(miner: str, header: BlockHeader) -> list[bytes]:
    """Return the entries by which lotus-miner makes no second block of a height or on these parents.

    `miner` as lotus writes it on the network, with f or t.
    """
    parents = b"".join(bytes(cid) for cid in header.parents).hex()
    value = bytes(header.cid)
    return [
        entry(BLOCK_OF_EPOCH.format(miner=miner, height=header.height), value),
        entry(BLOCK_ON_PARENTS.format(miner=miner, parents=parents), value),
    ]


def entry(key: str, value: bytes) -> bytes:
    """Return one entry of a snapshot."""
    return encode({"Key": key.encode(), "Value": value})
