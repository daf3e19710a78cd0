"""What damocles' command line does to sectors and workers: brought back, ended, made again, tried, forgotten.

Each is the act of the console, with its refusals, its level and its line in the audit log.
Source: damocles-manager/core/api.go SealerCliAPI; `util sealer sectors`, `snap`, `proving`, `util worker`.
"""

from __future__ import annotations

from typing import Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.damocles.forms import COUNT, NAME, SECTOR
from apps.core import clock
from apps.damocles.selectors import is_terminating, termination_of
from apps.damocles.services.hosts import damocles_pings_forget
from apps.damocles.services.sector_locks import SectorName, sector_find
from apps.damocles.services.sectors import damocles_sector_finalize
from apps.miners.selectors.miners import miner_get
from apps.proving.services.trials import deadline_dry_run
from apps.proving.tasks import proving_context
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.changes.steps import changes_request
from apps.sectors.services.runs.decisions import run_abort, run_open
from apps.sectors.services.runs.rebuild import rebuild_begin
from apps.sectors.services.sealing.restore import sector_restore
from apps.sectors.services.stores.file_removals import removals_request
from poolsite.filecoin.address import Address
from poolsite.filecoin.cids import cid_parse, cid_to_json
from poolsite.wire.damocles import SubmitResult
from poolsite.wire.jobs import JobKind
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import ADDRESS, ANY, BOOL, RpcMethod
from poolsite.wire.pipeline.changes import ChangeKind

REASON: Final = "through damocles' command line"
"""Of acts for which a method takes none."""


def restore_sector(call: Call, name: SectorName, is_forced: bool) -> None:
    """Bring an aborted or terminated sector back where the chain allows it.  Raises RestoreRefused."""
    sector, work = sector_find(call.principal, name=name), sealing_context_read()
    sector_restore(sector, force=is_forced, reason=REASON, by=call.principal, work=work)


def terminate_sector(call: Call, name: SectorName) -> Json:
    """Request the end of a proving sector; asked again, it is one termination.  Raises ChangeRefused."""
    sector = sector_find(call.principal, name=name)
    if is_terminating(sector):
        return {"Res": int(SubmitResult.DUPLICATE), "Desc": "duplicate submit"}
    work = sealing_context_read()
    changes_request(
        [sector],
        request=ChangeRequest(kind=ChangeKind.TERMINATE, reason=REASON),
        by=call.principal,
        client=work.client,
        head=work.head,
        network=work.network,
        now=work.now,
    )
    return {"Res": int(SubmitResult.ACCEPTED), "Desc": None}


def poll_terminate_sector_state(call: Call, name: SectorName) -> Json:
    """Show how far a termination is; one that failed or was cancelled is as if never requested."""
    found = termination_of(sector_find(call.principal, name=name))
    return {
        "TerminateCid": cid_to_json(cid_parse(found.message_cid)) if found.message_cid else None,
        "TerminatedAt": found.landed_height,
        "AddedHeight": found.asked_height,
    }


def remove_sector(call: Call, name: SectorName) -> None:
    """Order the hosts of a sector that the chain has ended to remove its files.  Raises FilesNotRemovable."""
    sector, work = sector_find(call.principal, name=name), sealing_context_read()
    removals_request([sector], by=call.principal, work=work, reason=REASON)


def finalize_sector(call: Call, name: SectorName) -> None:
    """Order a damocles-worker to wipe what it still has of a sector that proves.  Raises NotThatFar."""
    damocles_sector_finalize(call.principal, name=name, now=clock.now())


def sector_set_for_rebuild(call: Call, name: SectorName, _options: Json) -> bool:
    """Begin to rebuild a lost replica on the pool's own hosts; what bytes there are it knows itself.

    Raises NotRebuildable, RunUnderWay, PiecesMissing, NoHost.
    """
    rebuild_begin(sector_find(call.principal, name=name), by=call.principal, now=clock.now())
    return True


def snap_up_cancel_commitment(call: Call, name: SectorName) -> None:
    """End a snap-up whose message was not sent yet.  Raises RunUnknown, WrongState."""
    run = run_open(sector_find(call.principal, name=name), kind=JobKind.SNAP_UP)
    run_abort(run, reason=REASON, by=call.principal, now=clock.now())


def simulate_wd_post(
    call: Call,
    deadline: int,
    partition: int,
    address: Address,
    _proof_type: Json,
    _sectors: Json,
    _randomness: Json,
) -> None:
    """Request a partition's proof that is not sent, of the sectors that the chain has there.

    Raises NotFound, CheckUnavailable.
    """
    context = proving_context()
    if context is None:
        raise RpcError("no chain head is known yet")
    miner = miner_get(call.principal, str(address))
    deadline_dry_run(miner, index=deadline, principal=call.principal, context=context, only=partition)


def worker_ping_info_remove(call: Call, name: str) -> None:
    """Forget a damocles-worker's pings.  Raises WorkerUnknown."""
    damocles_pings_forget(call.principal, name=name)


ACTS: Final[dict[str, RpcMethod]] = {
    "Venus.RestoreSector": RpcMethod("write", restore_sector, (SECTOR, BOOL), asks_node=True),
    "Venus.TerminateSector": RpcMethod("sign", terminate_sector, (SECTOR,), asks_node=True),
    "Venus.PollTerminateSectorState": RpcMethod("read", poll_terminate_sector_state, (SECTOR,)),
    "Venus.RemoveSector": RpcMethod("sign", remove_sector, (SECTOR,), void=True, asks_node=True),
    "Venus.FinalizeSector": RpcMethod("write", finalize_sector, (SECTOR,), void=True),
    "Venus.SectorSetForRebuild": RpcMethod("sign", sector_set_for_rebuild, (SECTOR, ANY)),
    "Venus.SnapUpCancelCommitment": RpcMethod("sign", snap_up_cancel_commitment, (SECTOR,), void=True),
    "Venus.SimulateWdPoSt": RpcMethod(
        "write", simulate_wd_post, (COUNT, COUNT, ADDRESS, ANY, ANY, ANY), void=True, asks_node=True
    ),
    "Venus.WorkerPingInfoRemove": RpcMethod("write", worker_ping_info_remove, (NAME,), void=True),
}
