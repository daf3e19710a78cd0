"""Addresses as people type them, and what is wrong with one in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy

from apps.core.marked_texts import gettext
from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.filecoin.eth_text import ETH_PREFIX, any_address_parse, eth_text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

FAULTS: Final[dict[str, StrOrPromise]] = {
    "unknown address network": gettext_lazy("an address begins with f, t or 0x"),
    "unknown address protocol": gettext_lazy("an address begins with f0 to f4, t0 to t4, or 0x"),
    "invalid address length": gettext_lazy("the address is too short or too long"),
    "invalid address checksum": gettext_lazy("the address is mistyped: its checksum does not match"),
    "invalid address payload": gettext_lazy("this is not a valid address"),
    "invalid encoding": gettext_lazy("the address contains invalid characters"),
}
"""Sentences for people, by go-address' error texts, which JSON-RPC keeps."""


def address_fault(error: BadAddress) -> str:
    """Return in plain words what is wrong with an address."""
    return str(FAULTS.get(str(error), str(error)))


def address_typed(text: str) -> str:
    """Return the Filecoin form of what a person typed.  Raises BadAddress."""
    return str(any_address_parse(text))


def address_both(text: str) -> str:
    """Write an address, one that wallets of Ethereum know with their form behind it."""
    if not text.startswith(("f4", "t4", *ETH_PREFIX)):
        return text
    try:
        address = any_address_parse(text) if text.startswith(ETH_PREFIX) else address_parse(text)
    except BadAddress:
        return text
    there = eth_text(address)
    return gettext("{address} ({eth})").format(address=address, eth=there) if there else str(address)
