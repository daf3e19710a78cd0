"""Network addresses of strangers, as they are counted."""

from __future__ import annotations

import ipaddress


def source_of(host: str) -> str:
    """Return by what one stranger is counted: an IPv4 address, or the network of 64 bits of an IPv6 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(getattr(address, "ipv4_mapped", None) or address)
