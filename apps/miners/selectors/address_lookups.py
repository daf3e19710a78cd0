"""Looking up on the chain the addresses that somebody names: their IDs, and the keys behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.selectors.network import network_current
from apps.core.addresses import address_typed
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from poolsite.filecoin.address import Address, BadAddress, address_parse

CONTROL_MAX: Final = 10
"""Source: builtin-actors miner MAX_CONTROL_ADDRESSES."""


def addresses_resolve(addresses: Sequence[str], *, client: ChainClient) -> tuple[Address, ...]:
    """Resolve addresses to f0.  Raises BadValue for one that is none or that the chain does not know."""
    if len(addresses) > CONTROL_MAX:
        raise BadValue(gettext("at most {most} addresses").format(most=CONTROL_MAX), field="addresses")
    found = []
    for text in addresses:
        try:
            found.append(address_parse(client.state_lookup_id(address_typed(text))))
        except BadAddress:
            raise BadValue(
                gettext("{text} is not an address").format(text=text[:100]), field="addresses"
            ) from None
        except NodeRefused:
            reason = gettext("{text} does not exist on chain: send it FIL first").format(text=text[:100])
            raise BadValue(reason, field="addresses") from None
    return tuple(found)


def address_require_final(address: str, *, height: int, client: ChainClient) -> None:
    """Raise BadValue for an address that the chain did not have one finality ago.

    A reorganisation can give its ID to another key.  `height` is the head's; a chain that is no finality old
    is not asked.
    """
    finality = network_current().chain_finality
    if height <= finality:
        return
    final = client.chain_get_tipset_by_height(height - finality, client.chain_head().key)
    try:
        client.state_get_actor(address, final.key)
    except NodeRefused as error:
        if not error.is_missing_actor:
            raise
        reason = gettext(
            "{address} came to the chain less than {finality} epochs ago, and a reorganisation can give its "
            "ID to another key: try again at epoch {epoch}"
        ).format(address=address[:100], finality=finality, epoch=height + finality)
        raise BadValue(reason, field="addresses") from None


def account_key_read(address: str, *, client: ChainClient) -> str:
    """Return the key behind an ID.  Raises BadValue for an actor without one, such as a multisig."""
    try:
        return client.state_account_key(address)
    except NodeRefused:
        reason = gettext("{address} has no key of its own: propose the message in its multisig").format(
            address=address
        )
        raise BadValue(reason, field="addresses") from None
