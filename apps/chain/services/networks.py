"""Which network this pool is on: bound at the first contact, checked at each later one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from apps.chain.models import Network
from apps.core.errors import Conflict

if TYPE_CHECKING:
    from apps.chain.client import ChainClient


class WrongNetwork(Conflict):
    """A node of another chain than the one this pool's rows speak of."""

    code: ClassVar[str] = "wrong_network"


def network_bind(client: ChainClient) -> Network:
    """Note what the node says about its network; the first answer binds the pool to it for good.

    Raises WrongNetwork if the node's network or its genesis is another; nothing is written then.
    """
    name, genesis = client.state_network_name(), client.chain_get_genesis().key
    row = network_check(name, genesis)
    params = client.state_get_network_params()
    version = client.state_network_version()
    if row is None:
        row = Network(pk=1, name=name, genesis=genesis)
    if (row.version, row.params) != (version, params) or row._state.adding:
        row.version, row.params = version, params
        row.save()
    return row


def network_check(name: str, genesis: str) -> Network | None:
    """Give the network that the pool is bound to, if to any.  Raises WrongNetwork if this is another."""
    row = Network.objects.first()
    if row is not None and (row.name, row.genesis) != (name, genesis):
        what = f"is on {name}" if row.name != name else f"has another genesis block of {name}"
        raise WrongNetwork(f"the node {what}; this pool belongs to {row.name}")
    return row
