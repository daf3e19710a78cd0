"""Looking up on the chain the addresses that somebody names: their IDs, and the keys behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from apps.core.errors import BadValue
from poolsite.filecoin.address import BadAddress, address_parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.node.client import ChainClient
    from poolsite.filecoin.address import Address

CONTROL_MAX: Final = 10
"""Source: builtin-actors miner MAX_CONTROL_ADDRESSES."""


def addresses_resolve(addresses: Sequence[str], *, client: ChainClient) -> tuple[Address, ...]:
    """Resolve addresses to f0.  Raises BadValue for one that is none or that the chain does not know."""
    if len(addresses) > CONTROL_MAX:
        raise BadValue(gettext("at most {most} addresses").format(most=CONTROL_MAX), field="addresses")
    found = []
    for text in addresses:
        try:
            found.append(address_parse(client.state_lookup_id(str(address_parse(text)))))
        except BadAddress:
            raise BadValue(
                gettext("{text} is not an address").format(text=text[:100]), field="addresses"
            ) from None
        except NodeRefused:
            reason = gettext("{text} does not exist on chain: send it FIL first").format(text=text[:100])
            raise BadValue(reason, field="addresses") from None
    return tuple(found)


def account_key_read(address: str, *, client: ChainClient) -> str:
    """Return the key behind an ID.  Raises BadValue for an actor without one, such as a multisig."""
    try:
        return client.state_account_key(address)
    except NodeRefused:
        reason = gettext("{address} has no key of its own: propose the message in its multisig").format(
            address=address
        )
        raise BadValue(reason, field="addresses") from None
