"""Filecoin.F3*: who takes part in fast finality through this node; refused as lotus does where it is off.

Source: lotus node/impl/full/f3.go; go-f3 manifest.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.participation import DISABLED, F3Error
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.filecoin.address import ID
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.participation import Participation
    from poolsite.filecoin.address import Address

SECOND: Final = 10**9
COMMITTEE_LOOKBACK: Final = 10


def running(node: Devnet) -> Participation:
    """Return the leases of a node.  Raises RpcError where it has no F3."""
    if node.participation is None:
        raise refused(F3Error(*DISABLED))
    return node.participation


def refused(error: F3Error) -> RpcError:
    """Return a refusal in the form of the interface."""
    return RpcError(str(error), code=error.code)


def instance_of(node: Devnet) -> int:
    """Return the instance that runs: one ends with each epoch."""
    return node.head.height


def is_running(node: Devnet) -> Any:
    return bool(running(node))


def progress(node: Devnet) -> Any:
    running(node)
    return {"ID": instance_of(node), "Round": 0, "Phase": 0}


def manifest(node: Devnet) -> Any:
    finality = running(node)
    return {
        "Pause": False,
        "ProtocolVersion": 7,
        "InitialInstance": 0,
        "BootstrapEpoch": 0,
        "NetworkName": finality.network,
        "InitialPowerTable": None,
        "CommitteeLookback": COMMITTEE_LOOKBACK,
        "CatchUpAlignment": int(node.network.epoch_s * SECOND / 2),
        "EC": {"Period": int(node.network.epoch_s * SECOND), "Finality": node.network.chain_finality},
    }


def participants(node: Devnet) -> Any:
    """Return the leases as they were given, not what is left of them."""
    return [
        {"MinerID": lease.miner, "FromInstance": lease.from_instance, "ValidityTerm": lease.term}
        for lease in running(node).current(instance=instance_of(node))
    ]


def ticket(node: Devnet, miner: Address, previous: bytes, instances: int) -> Any:
    finality = running(node)
    if miner.protocol != ID:
        raise RpcError(f"miner address is not of ID type: {miner}: cannot get id from non id address")
    try:
        encoded = finality.ticket(miner.actor_id, previous, instances, instance=instance_of(node))
    except F3Error as error:
        raise refused(error) from None
    return base64.b64encode(encoded).decode()


def participate(node: Devnet, ticket_: bytes) -> Any:
    instance = instance_of(node)
    try:
        return running(node).participate(ticket_, instance=instance).remaining(instance)
    except F3Error as error:
        raise refused(error) from None


METHODS: Final = (
    Method("F3IsRunning", "read", (), is_running),
    Method("F3GetProgress", "read", (), progress),
    Method("F3GetManifest", "read", (), manifest),
    Method("F3ListParticipants", "read", (), participants),
    Method("F3GetOrRenewParticipationTicket", "sign", (p.ADDRESS, p.BYTES, p.UINT), ticket),
    Method("F3Participate", "sign", (p.BYTES,), participate),
)
