"""Ethereum's text of an address: 0x and 40 hexadecimal digits, whose capitals may be a checksum (EIP-55).

Source: lotus chain/types/ethtypes/eth_types.go ParseEthAddress; EIP-55 for the capitals.
"""

from __future__ import annotations

import re
from typing import Final

from poolsite.filecoin.address import Address, BadAddress, address_parse, eth_address
from poolsite.filecoin.ethereum import eth_name
from poolsite.filecoin.keccak import keccak256

ETH_PREFIX: Final = ("0x", "0X")
"""Prefix of an Ethereum address."""
_ETH_TEXT: Final = re.compile("0[xX]([0-9a-fA-F]{40})")
"""Prefix and 20 bytes."""


def eth_text(address: Address) -> str:
    """Return the 0x form of an f410 or f0 address with its checksum; empty for the other kinds."""
    name = eth_name(address)
    return "" if name is None else f"0x{_capitals_write(name.hex())}"


def any_address_parse(text: str) -> Address:
    """Read an address in Filecoin's or in Ethereum's form: 0xff… of an actor's id is f0, others are f410.

    Raises BadAddress, also for capitals and small letters mixed in another way than the checksum's.
    """
    text = text.strip()
    if not text.startswith(ETH_PREFIX):
        return address_parse(text)
    found = _ETH_TEXT.fullmatch(text)
    if found is None:
        raise BadAddress("invalid address length" if len(text) != 42 else "invalid encoding")
    digits = found[1]
    if digits not in (digits.lower(), digits.upper(), _capitals_write(digits.lower())):
        raise BadAddress("invalid address checksum")
    return eth_address(bytes.fromhex(digits))


def _capitals_write(digits: str) -> str:
    """Return small hexadecimal digits with the capitals of EIP-55."""
    marks = keccak256(digits.encode()).hex()
    return "".join(
        digit.upper() if int(mark, 16) > 7 else digit for digit, mark in zip(digits, marks, strict=False)
    )
