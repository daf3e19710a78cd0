"""Parameters of damocles-manager's methods, in the words of its Go structs.

Source: damocles-manager/core/types.go; damocles-worker/src/rpc/sealer/mod.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from apps.damocles.services.hosts import Ping
from apps.damocles.services.precommit_submissions import PreCommitted
from apps.damocles.services.sector_locks import SectorName
from apps.damocles.services.sectors import AllocateSpec, Reported
from poolsite.filecoin.cids import BadCid, cid_parse
from poolsite.wire.job_inputs import DIGEST_BYTES
from poolsite.wire.job_reports import TEXT_MAX
from poolsite.wire.jobs import NAME_MAX
from poolsite.wire.jsonrpc.messages import Json
from poolsite.wire.jsonrpc.parameters import BadParam, Param, blob, fields, number, text

LIST_MAX: Final = 1_000
SECTORS_MAX: Final = 100_000
"""Sectors of one list: a partition has 2,349 of 32 GiB, a proof several partitions."""


def unsigned(value: Json) -> int:
    """Read a number that is not negative and fits a database's."""
    found = number(value)
    if not 0 <= found < 2**63:
        raise BadParam("json: cannot unmarshal into Go value of type uint64")
    return found


def short(value: Json) -> str:
    """Read a text of a sentence or two; null is empty, and what is too long is cut."""
    return "" if value is None else text(value)[:TEXT_MAX]


def short_name(value: Json) -> str:
    """Read a name."""
    found = text(value)
    if len(found) > NAME_MAX:
        raise BadParam(f"the name must have at most {NAME_MAX} characters")
    return found


def listed(value: Json, *, most: int = LIST_MAX) -> list[Json]:
    """Read a list; null is empty."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise BadParam("json: cannot unmarshal into Go value of type slice")
    return value


def digest(value: Json) -> bytes:
    """Read Go's [32]byte, a list of numbers, or 32 bytes in base64."""
    if isinstance(value, list):
        if len(value) != DIGEST_BYTES or not all(type(one) is int and 0 <= one < 256 for one in value):
            raise BadParam("json: cannot unmarshal into Go value of type [32]uint8")
        return bytes(value)
    found = blob(value)
    if len(found) != DIGEST_BYTES:
        raise BadParam(f"must be {DIGEST_BYTES} bytes")
    return found


def sector_name(value: Json) -> SectorName:
    """Read an abi.SectorID."""
    found = fields(value)
    return SectorName(unsigned(found.get("miner")), unsigned(found.get("number")))


@dataclass(frozen=True, slots=True)
class Allocated:
    """A sector as it was given out, with its proof type."""

    name: SectorName
    seal_proof: int


def allocated(value: Json) -> Allocated:
    """Read an AllocatedSector."""
    found = fields(value)
    return Allocated(sector_name(found.get("id")), unsigned(found.get("prooftype")))


def sector_spec(value: Json) -> AllocateSpec:
    """Read an AllocateSectorSpec."""
    found = fields(value)
    return AllocateSpec(
        miners=tuple(map(unsigned, listed(found.get("allowedminers")))),
        proof_types=tuple(map(unsigned, listed(found.get("allowedprooftypes")))),
    )


def precommitted(value: Json) -> PreCommitted:
    """Read a PreCommitOnChainInfo; the proof type stands elsewhere."""
    found = fields(value)
    ticket = fields(found.get("ticket"))
    return PreCommitted(
        seal_proof=0,
        comm_r=digest(found.get("commr")),
        comm_d=digest(found.get("commd")),
        ticket=digest(ticket.get("ticket")),
        ticket_epoch=unsigned(ticket.get("epoch")),
    )


def proof(value: Json) -> bytes:
    """Read a ProofOnChainInfo."""
    return blob(fields(value).get("proof"))


def reported(value: Json) -> Reported:
    """Read a ReportStateReq."""
    found = fields(value)
    worker, change = fields(found.get("worker")), fields(found.get("statechange"))
    failure = fields(found["failure"]) if found.get("failure") is not None else {}
    return Reported(
        instance=short_name(worker.get("instance")),
        location=short(worker.get("location")),
        step=short_name(change.get("next")),
        failure_level=short_name(failure["level"]) if failure else "",
        failure=short(failure.get("desc")),
    )


def ping(value: Json) -> Ping:
    """Read a WorkerInfo."""
    found = fields(value)
    name, dest = short_name(found.get("name") or ""), short(found.get("dest"))
    if not name:
        raise BadParam("worker name is required")
    if not dest:
        raise BadParam("worker dest is required")
    summary = fields(found["summary"]) if found.get("summary") is not None else {}
    threads, empty = unsigned(summary.get("threads") or 0), summary.get("empty")
    return Ping(
        name=name,
        version=short(found.get("version")),
        threads=threads,
        errors=unsigned(summary.get("errors") or 0),
        busy=None if empty is None else max(threads - unsigned(empty), 0),
        dest=dest,
    )


def names(value: Json) -> list[str]:
    """Read names of stores."""
    return [short_name(one) for one in listed(value)]


def tipset(value: Json) -> str:
    """Read a tipset's key; null and empty: the head's."""
    return " ".join(cid_text(one) for one in listed(value))


def cid_text(value: Json) -> str:
    """Read a CID."""
    found = value.get("/") if isinstance(value, dict) else value
    try:
        return str(cid_parse(text(found)))
    except BadCid as bad:
        raise BadParam(str(bad)) from None


def record(value: Json) -> dict[str, Any]:
    """Read a SectorState, its names as they came."""
    if not isinstance(value, dict):
        raise BadParam("json: cannot unmarshal into Go value of type core.SectorState")
    return value


SECTOR: Final = Param("*abi.SectorID", sector_name)
ALLOCATED: Final = Param("*core.AllocatedSector", allocated)
SPEC: Final = Param("*core.AllocateSectorSpec", sector_spec)
PRECOMMIT: Final = Param("*core.PreCommitOnChainInfo", precommitted)
PROOF: Final = Param("*core.ProofOnChainInfo", proof)
REPORT: Final = Param("*core.ReportStateReq", reported)
PING: Final = Param("*core.WorkerInfo", ping)
COUNT: Final = Param("*uint64", unsigned)
NAME: Final = Param("*string", short_name)
REASON: Final = Param("*string", short)
NAMES: Final = Param("*[]string", names)
TIPSET: Final = Param("*types.TipSetKey", tipset)
CID: Final = Param("*cid.Cid", cid_text)
ANY_RECORD: Final = Param("*core.SectorState", record)
