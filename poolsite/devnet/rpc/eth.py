"""The few eth_* methods that Filecoin clients call to know the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.rpc.dispatch import Method

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet


def chain_id(node: Devnet) -> Any:
    return hex(node.network.eth_chain_id)


def block_number(node: Devnet) -> Any:
    return hex(max(node.head.height - 1, 0))


def net_version(node: Devnet) -> Any:
    return str(node.network.eth_chain_id)


def long_name(name: str) -> str:
    """`eth_chainId` is also `Filecoin.EthChainId`."""
    head, _, tail = name.partition("_")
    return head.capitalize() + tail[:1].upper() + tail[1:]


METHODS: Final = (
    Method("eth_chainId", "read", (), chain_id),
    Method("eth_blockNumber", "read", (), block_number),
    Method("net_version", "read", (), net_version),
)
