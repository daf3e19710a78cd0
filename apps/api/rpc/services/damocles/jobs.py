"""What damocles-workers with the plans `snapup`, `rebuild` and `unseal` ask: jobs over proven sectors.

Source: damocles-manager/core/types.go AllocatedSnapUpSector, SnapUpOnChainInfo, SectorRebuildInfo,
SectorUnsealInfo; damocles-worker/src/sealing/sealing_thread/planner/{snapup,rebuild,unseal}.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.damocles import answers, forms
from apps.core import clock
from apps.damocles.services.runs import (
    AllocatedRun,
    Updated,
    rebuild_allocate,
    snap_up_allocate,
    snap_up_submit,
)
from apps.damocles.services.sector_locks import SectorName
from apps.damocles.services.sectors import AllocateSpec
from apps.damocles.services.unsealing import unseal_achieve, unseal_allocate, unseal_is_wanted
from poolsite.filecoin.cids import cid_to_json, commr_cid
from poolsite.wire.damocles import LOCAL_PIECE_STORE, UNSEALING_STATE
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.jsonrpc.messages import Json
from poolsite.wire.jsonrpc.parameters import Param, blob, fields, text

if TYPE_CHECKING:
    from apps.sectors.models import Sector

PIECES_MAX: Final = 100_000
"""Of one sector."""


def snap_up_spec(value: Json) -> AllocateSpec:
    """Read an AllocateSnapUpSpec; which pieces go in is the console's choice."""
    return forms.sector_spec(fields(value).get("sector") or {})


def updated(value: Json) -> Updated:
    """Read a SnapUpOnChainInfo."""
    found = fields(value)
    return Updated(
        comm_r=forms.digest(found.get("commr")),
        comm_d=forms.digest(found.get("commd")),
        store=text(found.get("accessinstance")),
        pieces=tuple(map(forms.cid_text, forms.listed(found.get("pieces"), most=PIECES_MAX))),
        proof=blob(found.get("proof")),
    )


SNAP_UP: Final = Param("*core.AllocateSnapUpSpec", snap_up_spec)
UPDATED: Final = Param("*core.SnapUpOnChainInfo", updated)


def allocate_snap_up(call: Call, spec: AllocateSpec) -> Json:
    """Return a committed sector with the pieces that go into it; null while there is none."""
    found = snap_up_allocate(call.principal, spec=spec, now=clock.now())
    if found is None:
        return None
    sector = found.allocated.sector
    return {
        "Sector": answers.allocated_form(sector),
        "Pieces": _pieces(found),
        "Public": _public(sector),
        "Private": {"AccessInstance": sector.store},
    }


def submit_snap_up(call: Call, name: SectorName, made: Updated) -> Json:
    """Accept an updated replica with its proof, once a prover has checked its files."""
    result, reason = snap_up_submit(call.principal, name=name, made=made, now=clock.now())
    return {"Res": int(result), "Desc": reason or None}


def allocate_rebuild(call: Call, spec: AllocateSpec) -> Json:
    """Return a sector whose replica was lost, with what it was made of; null while there is none."""
    found = rebuild_allocate(call.principal, spec=spec, now=clock.now())
    if found is None:
        return None
    sector, inputs = found.allocated.sector, found.allocated.inputs
    is_update = sector.key_comm_r is not None
    return {
        "Sector": answers.allocated_form(sector),
        "Ticket": _ticket(inputs),
        "Pieces": None,
        "PiecesV2": _pieces(found) or None,
        "IsSnapUp": is_update,
        "UpgradePublic": _public(sector) if is_update else None,
    }


def _pieces(found: AllocatedRun) -> list[Json]:
    provider = found.allocated.inputs.miner_id
    return [answers.piece_form(one, provider=provider) for one in found.pieces]


def _public(sector: Sector) -> Json:
    """Return a SectorPublicInfo of the replica of zeros as JSON."""
    old = bytes(sector.key_comm_r or sector.comm_r or b"")
    return {
        "CommR": [*old],
        "SealedCID": cid_to_json(commr_cid(old)),
        "Activation": sector.activation or 0,
        "Expiration": sector.expiration or 0,
    }


def _ticket(inputs: SealInputs) -> Json:
    return {"Ticket": answers.b64(inputs.ticket or b""), "Epoch": inputs.ticket_epoch or 0}


def allocate_unseal(call: Call, spec: AllocateSpec) -> Json:
    """Return a piece that is to be unsealed; null while there is none."""
    found = unseal_allocate(call.principal, spec=spec, now=clock.now())
    if found is None:
        return None
    job, cid = found
    inputs = job.inputs
    return {
        "Sector": answers.allocated_form(job.sector),
        "PieceCid": {"/": cid},
        "Offset": inputs.offset,
        "Size": inputs.num_bytes,
        "PrivateInfo": {"AccessInstance": job.sector.store},
        "Ticket": _ticket(inputs),
        "CommD": [*(inputs.comm_d or b"")],
        "Dest": [],
        "State": UNSEALING_STATE,
        "ErrorInfo": "",
    }


def acquire_unseal_dest(call: Call, name: SectorName, cid: str) -> list[Json]:
    """Return where the bytes go: to `/piecestore` here, or nowhere if they are here already."""
    is_wanted = unseal_is_wanted(call.principal, name=name, cid=cid, now=clock.now())
    return [f"{LOCAL_PIECE_STORE}{cid}"] if is_wanted else []


def achieve_unseal(call: Call, name: SectorName, cid: str, error: str) -> None:
    """Note that the bytes are here, or why not."""
    unseal_achieve(call.principal, name=name, cid=cid, error=error, now=clock.now())
