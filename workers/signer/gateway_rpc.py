"""Gateways over the wallet JSON-RPC: accounts that are served there, addresses that are announced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workers.signer.accounts import accounts_add
from workers.signer.errors import SignerError

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from workers.signer.callers import Caller
    from workers.signer.gateway import GatewayLink


def hubs_dialled(caller: Caller) -> Sequence[GatewayLink]:
    """Return the gateways.  Raises SignerError if there is none."""
    if not caller.hubs:
        raise SignerError("this signer has no gateway: start it with --console")
    return caller.hubs


async def add_support_account(caller: Caller, account: str) -> None:
    """Serve one more account at every gateway, and after the next start."""
    hubs = hubs_dialled(caller)
    if any(account in hub.supported for hub in hubs):
        raise SignerError(f"account {account} has exit")
    for hub in hubs:
        await hub.support(account)
    accounts_add(caller.signer.folder, account)


async def add_new_address(caller: Caller, addresses: list[Address]) -> None:
    """Announce keys at every gateway at once, which happens by itself within a second."""
    hubs = hubs_dialled(caller)
    texts = [str(address) for address in addresses]
    for address in texts:
        if not caller.signer.store.has(address):
            raise SignerError(f"{address}: record not found")
    for hub in hubs:
        await hub.announce(texts)
