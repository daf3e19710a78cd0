"""What a node says of itself to Ethereum tools.  Source: lotus node/impl/eth/basic.go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolsite.devnet.rpc.net import SYNC_COMPLETE, sync_state, version

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet


def chain_id(node: Devnet) -> Any:
    return hex(node.network.eth_chain_id)


def net_version(node: Devnet) -> Any:
    return str(node.network.eth_chain_id)


def net_listening(_node: Devnet) -> Any:
    return True


def client_version(node: Devnet) -> Any:
    return version(node)["Version"]


def protocol_version(node: Devnet) -> Any:
    """Return the network version."""
    return hex(node.network.network_version)


def accounts(_node: Devnet) -> Any:
    """None: nodes hold no Ethereum keys."""
    return []


def syncing(node: Devnet) -> Any:
    """Return False, or how far it is."""
    active = sync_state(node)["ActiveSyncs"][0]
    if active["Stage"] == SYNC_COMPLETE:
        return False
    return {
        "startingblock": hex(active["Base"]["Height"]),
        "currentblock": hex(max(active["Height"], 0)),
        "highestblock": hex(active["Target"]["Height"]),
    }
