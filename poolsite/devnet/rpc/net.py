"""Filecoin.Version, ID, Net*, Sync*, NodeStatus: what a node says about itself."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.minerjson import peer_text
from poolsite.filecoin.tipset import tipset_to_json

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.cids import Cid

API_V1: Final = 0x20300
API_V0: Final = 0x10500
SYNC_COMPLETE: Final = 4
ZERO_TIME: Final = "0001-01-01T00:00:00Z"


def version(node: Devnet) -> Any:
    return {
        "Version": "poolsite-devnet/1+2k",
        "APIVersion": API_V1,
        "BlockDelay": node.network.epoch_s,
        "Agent": "poolsite-devnet",
    }


def version_v0(node: Devnet) -> Any:
    return version(node) | {"APIVersion": API_V0}


def node_id(node: Devnet) -> Any:
    """Return a libp2p peer id that stands for the chain's genesis; the devnet speaks no libp2p."""
    digest = hashlib.sha256(bytes(node.chain.genesis.key)).digest()
    return peer_text(b"\x00\x24\x08\x01\x12\x20" + digest)


def net_peers(_node: Devnet) -> Any:
    return []


def net_addrs(node: Devnet) -> Any:
    return {"ID": node_id(node), "Addrs": []}


def sync_state(node: Devnet) -> Any:
    head = tipset_to_json(node.head.tipset)
    behind = node.faults.settings.behind
    return {
        "ActiveSyncs": [
            {
                "WorkerID": 1,
                "Base": head,
                "Target": head,
                "Stage": 0 if behind else SYNC_COMPLETE,
                "Height": node.head.height - behind,
                "Start": ZERO_TIME,
                "End": ZERO_TIME,
                "Message": "",
            }
        ],
        "VMApplied": node.head.height,
    }


def node_status(node: Devnet, with_chain: bool) -> Any:
    spans = (100, node.network.chain_finality) if with_chain else (0, 0)
    means = []
    for span in spans:
        blocks = 0
        for at, tipset in enumerate(node.chain.ancestors(node.head.tipset)):
            if at == span:
                break
            blocks += len(tipset.blocks)
        means.append(blocks / span if span and node.head.height >= span else 0)
    return {
        "SyncStatus": {"Epoch": node.head.height, "Behind": node.faults.settings.behind},
        "PeerStatus": {"PeersToPublishMsgs": 0, "PeersToPublishBlocks": 0},
        "ChainStatus": {"BlocksPerTipsetLast100": means[0], "BlocksPerTipsetLastFinality": means[1]},
    }


def session(node: Devnet) -> Any:
    return node.calls.session


def sync_check_bad(_node: Devnet, _cid: Cid) -> Any:
    return ""


def start_time(node: Devnet) -> Any:
    """Return when this node was started."""
    return datetime.fromtimestamp(node.calls.started_at, tz=UTC).isoformat().replace("+00:00", "Z")


def log_alerts(_node: Devnet) -> Any:
    """Return no alerts: the devnet has no journal of its own."""
    return []


def block_time(node: Devnet) -> Any:
    return node.network.epoch_s * 10**9


def discover(_node: Devnet) -> Any:
    return {"openrpc": "1.2.6", "info": {"title": "Poolsite devnet", "version": "1"}, "methods": []}


METHODS: Final = (
    Method("ID", "read", (), node_id),
    Method("NetPeers", "read", (), net_peers),
    Method("NetAddrsListen", "read", (), net_addrs),
    Method("SyncState", "read", (), sync_state),
    Method("SyncCheckBad", "read", (p.CID,), sync_check_bad),
    Method("NodeStatus", "read", (p.BOOL,), node_status),
    Method("Session", "read", (), session),
    Method("StartTime", "read", (), start_time),
    Method("LogAlerts", "admin", (), log_alerts),
    Method("BlockTime", "read", (), block_time),
    Method("Discover", "read", (), discover),
)
METHODS_V1: Final = (Method("Version", "read", (), version),)
METHODS_V0: Final = (Method("Version", "read", (), version_v0),)
