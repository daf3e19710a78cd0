"""What damocles' command line asks of workers, of a miner's settings, and which sectors could be proved.

Source: damocles-manager/core/api.go SealerCliAPI, MinerAPI; modules/config.go MinerConfig.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.damocles.forms import COUNT, NAME, SECTORS_MAX, listed, unsigned
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.clock import DAY_S
from apps.damocles.selectors import damocles_hosts, unprovable
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.senders import miner_senders
from apps.miners.states import Use
from apps.sectors.rules.hardware import PINGS
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.batch_settings import batch_policy
from poolsite.filecoin.cids import BadCid, cid_parse, cid_to_commr
from poolsite.filecoin.policy import Network
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import ANY, BOOL, BadParam, Param, RpcMethod, fields, text

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.sectors.models import Worker

CHECK_S: Final = 30
"""Batches are looked at with each head."""


def worker_ping_info(call: Call, name: str) -> Json:
    """Show what a worker told last; null for one that never did."""
    return next((_ping_form(one) for one in damocles_hosts(call.principal) if one.name == name), None)


def worker_ping_infos(call: Call) -> list[Json]:
    """List what workers told last."""
    return [_ping_form(one) for one in damocles_hosts(call.principal)]


def _ping_form(worker: Worker) -> Json:
    """Return a WorkerPingInfo, of the process that pinged last where several have the name."""
    ping: dict[str, Any] = max(worker.hardware.get(PINGS, {}).values(), key=lambda one: one["at"], default={})
    threads, busy = ping.get("threads", 0), ping.get("busy")
    summary = {
        "Threads": threads,
        "Empty": 0 if busy is None else threads - busy,
        "Paused": 0,
        "Running": busy or 0,
        "Waiting": 0,
        "Errors": ping.get("errors", 0),
    }
    info = {
        "Name": worker.name,
        "Dest": ping.get("dest", ""),
        "Version": worker.version,
        "Summary": summary,
    }
    return {"Info": info, "LastPing": int(worker.seen_at.timestamp())}


def sealed(value: Json) -> dict[int, bytes | None]:
    """Read ExtendedSectorInfos: numbers with comm_r."""
    found: dict[int, bytes | None] = {}
    for one in listed(value, most=SECTORS_MAX):
        info = fields(one)
        found[unsigned(info.get("sectornumber"))] = _comm_r(info.get("sealedcid"))
    return found


def _comm_r(value: Json) -> bytes | None:
    if value is None:
        return None
    try:
        return cid_to_commr(cid_parse(text(value.get("/") if isinstance(value, dict) else value)))
    except BadCid as bad:
        raise BadParam(str(bad)) from None


SEALED: Final = Param("*[]builtin.ExtendedSectorInfo", sealed)


def check_provable(
    call: Call,
    miner_id: int,
    _post_proof: Json,
    sectors: dict[int, bytes | None],
    is_strict: bool,
    checks_state: bool = False,
) -> Json:
    """Return which sectors could not be proved now, and why."""
    miner = miner_get(call.principal, f"f0{miner_id}")
    checked = sectors if checks_state else dict.fromkeys(sectors)
    found = unprovable(call.principal, miner, checked, is_strict=is_strict, now=clock.now())
    return {str(number): why for number, why in found.items()}


def get_miner_config(call: Call, miner_id: int) -> Json:
    """Show by what settings a miner's sectors are sealed and proved here, as far as damocles has them."""
    miner = miner_get(call.principal, f"f0{miner_id}")
    if miner.actor_id is None:
        raise RpcError(f"miner config not found: {miner_id}")
    return config_form(miner, policy=batch_policy(miner), network=network_current())


def config_form(miner: Miner, *, policy: SealingPolicy, network: Network) -> Json:
    """Return a MinerConfig as JSON."""

    def batch(most: int, wait_epochs: int) -> Json:
        wait = duration(wait_epochs * network.epoch_s)
        return {"Threshold": most, "MaxWait": wait, "CheckInterval": duration(CHECK_S)}

    def sent(use: Use, **more: Json) -> dict[str, Json]:
        return {"Senders": miner_senders(miner, use), "SendFund": policy.send_funds, **more}

    confidence = network.confidences
    life_days = policy.sector_life_epochs * network.epoch_s // DAY_S
    return {
        "Actor": miner.actor_id,
        "Sector": {
            "InitNumber": 0,
            "MinNumber": None,
            "MaxNumber": None,
            "Enabled": True,
            "EnableDeals": True,
            "LifetimeDays": life_days,
            "Verbose": False,
        },
        "SnapUp": {
            "Enabled": True,
            **sent(Use.COMMIT),
            "CleanupCCData": True,
            "MessageConfidence": confidence.message,
            "ReleaseConfidence": confidence.message,
        },
        "Commitment": {
            "Confidence": confidence.message,
            "Pre": sent(
                Use.PRE_COMMIT, Batch=batch(policy.precommit_batch_max, policy.precommit_wait_epochs)
            ),
            "Prove": sent(Use.COMMIT, Batch=batch(policy.commit_batch_max, policy.commit_wait_epochs)),
            "Terminate": sent(
                Use.TERMINATE, Batch=batch(policy.terminate_batch_max, policy.terminate_wait_epochs)
            ),
        },
        "PoSt": {
            "Senders": miner_senders(miner, Use.POST),
            "Enabled": True,
            "StrictCheck": True,
            "Parallel": True,
            "Confidence": confidence.message,
            "SubmitConfidence": confidence.submit,
            "ChallengeConfidence": confidence.challenge,
            "MaxPartitionsPerPoStMessage": network.posted_partitions_max,
        },
        "Proof": {"Enabled": True},
        "Sealing": {"SealingEpochDuration": 0},
    }


def duration(seconds: float) -> str:
    """Write a duration as Go does."""
    minutes, seconds_left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}h{minutes}m{seconds_left}s"
        if hours
        else f"{minutes}m{seconds_left}s"
        if minutes
        else f"{seconds_left}s"
    )


STANDING: Final[dict[str, RpcMethod]] = {
    "Venus.WorkerGetPingInfo": RpcMethod("read", worker_ping_info, (NAME,)),
    "Venus.WorkerPingInfoList": RpcMethod("read", worker_ping_infos),
    "Venus.CheckProvable": RpcMethod("read", check_provable, (COUNT, ANY, SEALED, BOOL, BOOL), optional=1),
    "Venus.GetMinerConfig": RpcMethod("read", get_miner_config, (COUNT,)),
}
