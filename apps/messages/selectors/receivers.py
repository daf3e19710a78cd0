"""Kinds of actors behind addresses, as far as they are known without asking a node."""

from __future__ import annotations

from collections.abc import Collection

from apps.messages.models import Receiver
from poolsite.filecoin.actors.decode import actor_kind
from poolsite.filecoin.address import address_parse


def kind_from_address(address: str) -> str:
    """Return the kind that follows from an address alone; empty for most that are no key's."""
    if address[1:2] in ("1", "3"):
        return "account"
    return actor_kind(address_parse(address)) if address else ""


def receiver_kinds(addresses: Collection[str]) -> dict[str, str]:
    """Return the kinds of receivers; those that nobody has asked for yet are left out."""
    known = {address: kind for address in addresses if (kind := kind_from_address(address))}
    rest = [address for address in dict.fromkeys(addresses) if address and address not in known]
    if not rest:
        return known
    return known | dict(Receiver.objects.filter(pk__in=rest).values_list("address", "kind"))


def kinds_of_codes(codes: Collection[str]) -> dict[str, str]:
    """Return the kinds of actor codes, as far as a receiver of each is known."""
    return dict(Receiver.objects.filter(code__in=codes).values_list("code", "kind"))
