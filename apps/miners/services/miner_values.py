"""Reading what a person gives for a new miner: name, keys and sector size."""

from __future__ import annotations

from typing import Final

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.users.models import Tenant
from apps.wallets.selectors import sender_allowed
from poolsite.filecoin.address import Address, BadAddress, address_parse
from poolsite.filecoin.policy import Network
from poolsite.filecoin.sector import RegisteredSealProof

NAME_MAX: Final = 64


def name_read(text: str) -> str:
    """Read what people call a miner.  Raises BadValue."""
    if not text.strip() or len(text) > NAME_MAX or not text.isprintable():
        raise BadValue(
            gettext("must be 1 to {most} printable characters").format(most=NAME_MAX), field="name"
        )
    return text.strip()


def key_read(text: str, *, tenant: Tenant, field: str) -> str:
    """Read an address that the tenant may send from.  Raises BadValue."""
    try:
        address = str(address_parse(text))
    except BadAddress:
        raise BadValue(gettext("choose one of the wallets"), field=field) from None
    if not sender_allowed(tenant.pk, address):
        raise BadValue(
            gettext("{tenant} may not sign for this address").format(tenant=tenant.name), field=field
        )
    return address


def seal_proof_choose(network: Network, *, size: int) -> RegisteredSealProof:
    """Return how the network seals sectors of this size.  Raises BadValue."""
    for proof in network.seal_proofs:
        if proof.sector_size == size:
            return proof
    raise BadValue(gettext("the network does not support this sector size"), field="sector_size")


def address_read(value: Address | str) -> Address:
    """Return an address that may come as text.  Raises BadAddress."""
    return value if isinstance(value, Address) else address_parse(value)
