"""Asking a node what kinds of actors receivers are, and remembering the answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import structlog

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import ChainClient, chain_client
from apps.chain.selectors.network import network_version
from apps.messages.models import Receiver
from apps.messages.selectors.receivers import kind_from_address, receiver_kinds
from poolsite.filecoin.actors.decode import actor_kind
from poolsite.filecoin.address import UNDEF, BadAddress, address_format
from poolsite.filecoin.eth_text import any_address_parse

log = structlog.get_logger(__name__)

LOOKUP_S: Final = 2.0
"""A push waits no longer than this for a node to say what its receiver is."""

CHANGING: Final = frozenset({"placeholder", "ethaccount"})
"""Bundle names of actors that may still become something else: they are not remembered."""


def receiver_kind_read(text: str, *, asks_node: bool) -> str:
    """Return the kind of actor behind an address as it was typed; empty where nobody knows it."""
    try:
        address = address_format(any_address_parse(text))
    except BadAddress:
        return ""
    known = receiver_kinds([address])
    return (receiver_kinds_resolve([address], known=known) if asks_node else known).get(address, "")


def receiver_kinds_resolve(addresses: Collection[str], *, known: Mapping[str, str]) -> dict[str, str]:
    """Return the kinds of receivers, asking a node for those that are not known yet.

    `known` is what rows say.  What no node knows stays empty: the trial of the message will say what is
    wrong with it.
    """
    kinds = {address: known.get(address) or kind_from_address(address) for address in addresses}
    unknown = [
        address
        for address, kind in kinds.items()
        if not kind and address not in known and address[1:2] in ("0", "2")
    ]
    return {**kinds, **_resolve(unknown, client=chain_client())} if unknown else kinds


def _resolve(addresses: list[str], *, client: ChainClient) -> dict[str, str]:
    """Query a node and remember the answer."""
    version = network_version()
    if version is None:
        return {}
    found: dict[str, tuple[str, str]] = {}
    try:
        table = client.call("StateActorCodeCIDs", version, timeout_s=LOOKUP_S)
        names = {str(cid["/"]): str(name) for name, cid in table.items()}
        for address in addresses:
            try:
                code = str(client.call("StateGetActor", address, [], timeout_s=LOOKUP_S)["Code"]["/"])
            except NodeRefused:  # the chain has no such actor yet
                continue
            if code in names and names[code] not in CHANGING:
                found[address] = (actor_kind(UNDEF, code_name=names[code]), code)
    except (NodeUnavailable, NodeRefused, AttributeError, KeyError, TypeError) as error:
        log.info("receivers_not_known", many=len(addresses), reason=str(error)[:200])
    Receiver.objects.bulk_create(
        [Receiver(address=address, kind=kind, code=code) for address, (kind, code) in found.items()],
        ignore_conflicts=True,
    )
    return {address: kind for address, (kind, _) in found.items()}
