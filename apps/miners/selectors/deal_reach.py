"""Whether clients can reach the node that takes a miner's deals at the addresses that the chain announces.

Looked at from this console's machine, by opening a connection as a libp2p client does.  A tenant writes what
the chain has: only public addresses are tried, so that nobody scans the console's own network.
Source: libp2p specs, connections; multiformats/multistream-select.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from apps.chain.node.public_hosts import is_public
from apps.core.marked_texts import gettext
from poolsite.filecoin.multiaddr import BadMultiaddr, Part, multiaddr_parse
from poolsite.libp2p.multistream import HELLO

CONNECT_S: Final = 3.0
"""For one place to answer; a name is looked up before."""
WAIT_S: Final = 10.0
"""For all of them."""
TRIED_MAX: Final = 20
"""A miner announces a handful."""
ADDRESSES_MAX: Final = 4
"""Of one name that are tried."""
LOCAL: Final = "127.0.0.1"
HOST_MAX: Final = 100
"""Characters of a machine's name that roles and doors keep."""
HOSTS: Final = ("ip4", "ip6", "dns", "dns4", "dns6")


class ReachState(StrEnum):
    """Result of a connection attempt."""

    REACHED = "reached"
    """A libp2p node answers."""
    OPEN = "open"
    """The port is open; whether a libp2p node is behind it was not found out."""
    FAILED = "failed"
    PRIVATE = "private"
    """Nobody outside reaches it."""
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Reach:
    """One announced address."""

    address: str
    state: ReachState
    says: str


def addresses_reach(addresses: Sequence[str]) -> list[Reach]:
    """Try all that a miner announces, side by side."""
    pool = ThreadPoolExecutor(max_workers=TRIED_MAX, thread_name_prefix="reach")
    tried = [pool.submit(address_reach, text) for text in addresses[:TRIED_MAX]]
    until, found = time.monotonic() + WAIT_S, []
    for text, one in zip(addresses, tried, strict=False):
        try:
            found.append(one.result(timeout=max(until - time.monotonic(), 0.0)))
        except TimeoutError:
            found.append(Reach(text, ReachState.FAILED, gettext("no response in time")))
    pool.shutdown(wait=False, cancel_futures=True)
    more = gettext("only the first {most} addresses are tested").format(most=TRIED_MAX)
    return found + [Reach(text, ReachState.NOT_TRIED, more) for text in addresses[TRIED_MAX:]]


def door_reach(host: str, port: int) -> Reach:
    """Try the port on which a machine of ours serves clients, from this one."""
    place = LOCAL if host == socket.gethostname()[:HOST_MAX] else host
    state, detail = _try(place, port, is_libp2p=True)
    return Reach(f"{host}:{port}", state, detail)


def address_reach(text: str) -> Reach:
    """Try one address."""
    try:
        parts = multiaddr_parse(text)
    except BadMultiaddr:
        return Reach(text, ReachState.NOT_TRIED, gettext("not a supported multiaddress"))
    if len(parts) < 2 or parts[0].name not in HOSTS or parts[1].name != "tcp":
        reason = gettext("only TCP is tested here, not relays, QUIC or DNS records")
        return Reach(text, ReachState.NOT_TRIED, reason)
    host, port = parts[0], int(parts[1].value)
    try:
        places = _places(host)
    except OSError as error:
        return Reach(text, ReachState.FAILED, gettext("name lookup failed: {error}").format(error=error))
    public = [one for one in places if is_public(one)]
    if not public:
        reason = gettext("{place} is not a public address: outside clients cannot reach it")
        return Reach(text, ReachState.PRIVATE, reason.format(place=places[0]))
    is_libp2p = all(one.name == "p2p" for one in parts[2:])
    state, detail = ReachState.FAILED, ""
    for place in public:
        state, detail = _try(place, port, is_libp2p=is_libp2p)
        if state is not ReachState.FAILED:
            break
    return Reach(text, state, detail)


def _places(host: Part) -> list[str]:
    """Return the IP addresses of a host.  Raises OSError."""
    if host.name in ("ip4", "ip6"):
        return [host.value]
    family = {"dns4": socket.AF_INET, "dns6": socket.AF_INET6}.get(host.name, socket.AF_UNSPEC)
    rows = socket.getaddrinfo(host.value, None, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))[:ADDRESSES_MAX]


def _try(place: str, port: int, *, is_libp2p: bool) -> tuple[ReachState, str]:
    """Return what answers at one place; with `is_libp2p` its first message is exchanged."""
    try:
        with socket.create_connection((place, port), timeout=CONNECT_S) as line:
            if not is_libp2p:
                return ReachState.OPEN, gettext("the port is open; only TCP was tested")
            line.sendall(HELLO)
            received = b""
            while len(received) < len(HELLO) and (more := line.recv(len(HELLO) - len(received))):
                received += more
    except TimeoutError:
        return ReachState.FAILED, gettext("no response: check the port forwarding and the firewall")
    except OSError as error:
        reason = gettext("{error}: check the port forwarding, and that the node is running")
        return ReachState.FAILED, reason.format(error=error.strerror or error)
    if received == HELLO:
        return ReachState.REACHED, gettext("a libp2p node responds")
    return ReachState.FAILED, gettext("something responds, but it is not a libp2p node")
