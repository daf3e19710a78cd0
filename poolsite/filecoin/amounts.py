"""Token amounts: whole numbers of attoFIL, their bytes inside CBOR structures and their text for people.

Source: filecoin-project/go-state-types big/int.go (Int.Bytes, FromBytes); lotus chain/types/fil.go (FIL).
"""

from __future__ import annotations

import re
from typing import Final, NewType

AttoFil = NewType("AttoFil", int)
"""10^-18 FIL; may be negative in state, never in a message's value."""

BIG_INT_MAX_SERIALIZED_LEN: Final = 128
"""Longest encoding in bytes, sign byte included."""

FIL: Final = 10**18
"""attoFIL in one FIL."""

TOTAL_FILECOIN: Final = AttoFil(2_000_000_000 * FIL)
"""All FIL that will ever exist; no message may carry more.  Source: lotus chain/types/bigint.go
TotalFilecoinInt."""

_UNITS: Final = {"fil": 18, "attofil": 0, "afil": 0} | {
    name: decimals
    for decimals, names in {
        3: ("femtofil", "ffil"),
        6: ("picofil", "pfil"),
        9: ("nanofil", "nfil"),
        12: ("microfil", "ufil"),
        15: ("millifil", "mfil"),
    }.items()
    for name in names
}
"""Decimals of each unit, by its name in lower case: one of it is so many powers of ten attoFIL.  lotus'
ParseFIL reads FIL and attoFIL; the others are those that its Short writes, and their names."""
_AMBIGUOUS: Final = re.compile("[MP](?i:fil)")
"""Not read: with a capital, milli and pico would be mega and peta."""
_GROUP_SPACE: Final = "\u202f"
"""The narrow space that pages write between thousands."""
_AMOUNT_TEXT: Final = re.compile(r"([+-]?)(?=\.?\d)(\d*)(?:\.(\d*))?\s*([A-Za-zµμ]*)", re.ASCII)
"""Sign, whole digits, digits behind the point, unit; ASCII alone, so that no other script's digits pass."""


class BadAmount(ValueError):
    """Bytes or text that are not an amount."""


ZERO: Final = AttoFil(0)
"""Nothing."""


def amount_to_bytes(amount: int) -> bytes:
    """Return the CBOR payload of an amount: empty for zero, else a sign byte and the magnitude.

    The sign byte is 0 for plus and 1 for minus; the magnitude is big-endian.
    """
    if amount == 0:
        return b""
    magnitude = abs(amount).to_bytes((amount.bit_length() + 7) // 8, "big")
    return (b"\x01" if amount < 0 else b"\x00") + magnitude


def amount_from_bytes(data: bytes) -> AttoFil:
    """Read the CBOR payload.  Raises BadAmount on another sign byte or on more than 128 bytes."""
    if not data:
        return AttoFil(0)
    if len(data) > BIG_INT_MAX_SERIALIZED_LEN or data[0] > 1:
        raise BadAmount(f"not an amount: {data[:8].hex()}")
    magnitude = int.from_bytes(data[1:], "big")
    return AttoFil(-magnitude if data[0] else magnitude)


def amount_parse(text: str) -> AttoFil:
    """Read the JSON form, a decimal string of attoFIL.  Raises BadAmount."""
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 400:
        raise BadAmount(f"not a decimal number: {text[:40]!r}")
    return AttoFil(int(text))


def fil_parse(text: str, *, default_unit: str = "FIL") -> AttoFil:
    """Read an amount as people write it: `1.5`, `.5 FIL`, `20 nFIL`, `3 attoFIL`.

    `default_unit` is that of a number alone.  Raises BadAmount on other text, and on more digits than the
    unit has.
    """
    match = _AMOUNT_TEXT.fullmatch(text.strip().replace(_GROUP_SPACE, ""))
    if match is None or len(text) > 100:
        raise BadAmount(f"failed to parse {text[:40]!r} as an amount of FIL")
    sign, integer, fraction, unit = match.groups(default="")
    unit = unit.replace("µ", "u").replace("μ", "u") or default_unit
    decimals = _UNITS.get(unit.lower())
    if decimals is None or _AMBIGUOUS.fullmatch(unit):
        raise BadAmount(f"unrecognized suffix: {unit!r}")
    fraction = fraction.rstrip("0")
    if len(fraction) > decimals:
        raise BadAmount(f"{text.strip()!r} is finer than one attoFIL")
    amount = int(integer or "0") * 10**decimals + int(fraction.ljust(decimals, "0") or "0")
    return AttoFil(-amount if sign == "-" else amount)


def fil_format(amount: int, *, unit: str = " FIL") -> str:
    """Write an amount exactly, in FIL, without trailing zeros: 1500000000000000000 is `1.5 FIL`."""
    integer, remainder = divmod(abs(amount), FIL)
    text = f"{integer}.{remainder:018d}".rstrip("0").rstrip(".")
    return ("-" if amount < 0 else "") + text + unit
