"""libp2p addresses: multiaddresses as text and in binary form, and peer ids in base58.

In binary each protocol is its code as uvarint, then its value: 4 or 16 bytes of an IP address, 2 of a port,
big-endian; names and peer ids behind their length as uvarint.  A miner's addresses on chain have this form.

Source: multiformats/multiaddr README and protocols.csv; libp2p specs, peer-ids.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.varint import BadVarint, uvarint_read, uvarint_write

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Digits of base58 by their values, as Bitcoin has them."""
MULTIADDRS_MAX_BYTES: Final = 1024
"""Of all of a miner together.  Source: builtin-actors miner policy MAX_MULTIADDR_DATA."""
PEER_ID_MAX_BYTES: Final = 128
"""Source: builtin-actors miner policy MAX_PEER_ID_LENGTH."""
CODES: Final = {
    **{"ip4": 4, "tcp": 6, "ip6": 41, "dns": 53, "dns4": 54, "dns6": 55, "dnsaddr": 56, "udp": 273},
    **{"p2p-circuit": 290, "p2p": 421, "tls": 448, "sni": 449, "noise": 454, "quic": 460, "quic-v1": 461},
    **{"webtransport": 465, "ws": 477, "wss": 478, "http": 480, "https": 443},
}
"""Protocols by their names."""
NAMES: Final = {code: name for name, code in CODES.items()} | {421: "p2p"}
"""Names of protocols by their codes; 421 was `ipfs` once."""
HOSTS: Final = ("dns", "dns4", "dns6", "dnsaddr", "sni")
"""Those whose value is a host's name."""
PORTS: Final = ("tcp", "udp")
"""Those whose value is a port of two bytes."""
HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?")
"""What a host's name may look like."""
MULTIHASHES: Final = {0x00: None, 0x12: 32}
"""Of peer ids: the key itself, or its SHA2-256 with this length."""


class BadMultiaddr(ValueError):
    """An address or a peer id that is none; says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One protocol of a multiaddress, with its value; empty where it has none."""

    name: str
    """One of CODES."""
    value: str = ""
    """As it stands in the text: an IP address, a port, a host's name, a peer id."""


def base58_encode(data: bytes) -> str:
    """Return bytes in base58, as Bitcoin writes them."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = BASE58[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\x00"))) + digits


def base58_decode(text: str) -> bytes:
    """Return the bytes of base58.  Raises BadMultiaddr."""
    number = 0
    for letter in text:
        if letter not in BASE58:
            raise BadMultiaddr(f"{letter!r} is not a base58 character")
        number = number * 58 + BASE58.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def peer_id_parse(text: str) -> bytes:
    """Return the bytes of a peer id in base58, as `12D3Koo…` or `Qm…`.  Raises BadMultiaddr."""
    if not 0 < len(text) <= 2 * PEER_ID_MAX_BYTES:
        raise BadMultiaddr("a peer ID starts with 12D3Koo or Qm")
    data = base58_decode(text)
    is_complete = len(data) > 2 and data[0] in MULTIHASHES and data[1] == len(data) - 2
    if not is_complete or MULTIHASHES[data[0]] not in (None, data[1]) or len(data) > PEER_ID_MAX_BYTES:
        raise BadMultiaddr(f"{text} is not a peer ID: it must start with 12D3Koo or Qm")
    return data


def multiaddr_parse(text: str) -> tuple[Part, ...]:
    """Read `/ip4/1.2.3.4/tcp/24001`.  Raises BadMultiaddr."""
    segments = text.removesuffix("/").split("/")
    if len(segments) < 2 or segments[0]:
        raise BadMultiaddr(f"{text!r} is not a multiaddress: use a form such as /ip4/1.2.3.4/tcp/24001")
    parts, pending = [], iter(segments[1:])
    for segment in pending:
        name = "p2p" if segment == "ipfs" else segment
        if name not in CODES:
            raise BadMultiaddr(f"{text!r}: unknown protocol {name!r}: use one of {', '.join(CODES)}")
        value = next(pending, "") if name in (*HOSTS, *PORTS, "ip4", "ip6", "p2p") else ""
        parts.append(Part(name, _value_read(text, name, value)))
    return tuple(parts)


def _value_read(text: str, name: str, value: str) -> str:
    """Return a protocol's value in its one form.  Raises BadMultiaddr."""
    try:
        match name:
            case "ip4":
                return str(ipaddress.IPv4Address(value))
            case "ip6":
                return str(ipaddress.IPv6Address(value))
            case "tcp" | "udp":
                if value.isascii() and value.isdigit() and 0 < int(value) < 1 << 16:
                    return str(int(value))
            case "p2p":
                return base58_encode(peer_id_parse(value))
            case _ if name in HOSTS:
                if HOST.fullmatch(value):
                    return value
            case _:
                return ""
    except (ipaddress.AddressValueError, BadMultiaddr):
        pass
    raise BadMultiaddr(f"{text!r}: {value!r} is not a valid {name} value")


def multiaddr_text(parts: tuple[Part, ...]) -> str:
    """Return a multiaddress as it is written."""
    return "".join(f"/{one.name}/{one.value}" if one.value else f"/{one.name}" for one in parts)


def multiaddr_encode(parts: tuple[Part, ...]) -> bytes:
    """Return a multiaddress in binary form."""
    return b"".join(uvarint_write(CODES[one.name]) + _value_bytes(one) for one in parts)


def _value_bytes(part: Part) -> bytes:
    """Return a value in binary; those of varying length begin with it."""
    match part.name:
        case "ip4" | "ip6":
            return ipaddress.ip_address(part.value).packed
        case "tcp" | "udp":
            return int(part.value).to_bytes(2, "big")
        case "p2p":
            data = base58_decode(part.value)
        case name if name in HOSTS:
            data = part.value.encode()
        case _:
            return b""
    return uvarint_write(len(data)) + data


def multiaddr_decode(data: bytes) -> tuple[Part, ...]:
    """Read the binary form.  Raises BadMultiaddr, for a protocol that is not known here too."""
    try:
        parts = tuple(_parts(data))
    except (BadVarint, UnicodeDecodeError, ValueError) as error:
        raise BadMultiaddr(f"{data.hex()} is not a multiaddress: {error}") from None
    return multiaddr_parse(multiaddr_text(parts))


def _parts(data: bytes) -> Iterator[Part]:
    """Yield the protocols of a binary multiaddress.  Raises BadMultiaddr, BadVarint."""
    at = 0
    while at < len(data):
        code, at = uvarint_read(data, at)
        name = NAMES.get(code)
        if name is None:
            raise BadMultiaddr(f"unknown protocol {code}")
        if name in (*HOSTS, "p2p"):
            size, at = uvarint_read(data, at)
        else:
            size = {"ip4": 4, "ip6": 16, "tcp": 2, "udp": 2}.get(name, 0)
        value, at = data[at : at + size], at + size
        if len(value) != size:
            raise BadMultiaddr("it is truncated")
        yield Part(name, _value_text(name, value))


def _value_text(name: str, value: bytes) -> str:
    """Return a value as its protocol writes it in text."""
    match name:
        case "ip4" | "ip6":
            return str(ipaddress.ip_address(value))
        case "tcp" | "udp":
            return str(int.from_bytes(value, "big"))
        case "p2p":
            return base58_encode(value)
    return value.decode()
