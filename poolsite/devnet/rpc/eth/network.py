"""What a node says of itself to Ethereum tools.  Source: lotus node/impl/eth/basic.go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolsite.devnet.rpc.net import version

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet


def chain_id(node: Devnet) -> Any:
    return hex(node.network.eth_chain_id)


def net_version(node: Devnet) -> Any:
    return str(node.network.eth_chain_id)


def client_version(node: Devnet) -> Any:
    return version(node)["Version"]
