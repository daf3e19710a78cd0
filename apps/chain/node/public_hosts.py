"""Requests to URLs of tenants: only to public hosts, at the very address that was looked up and checked.

A tenant chooses the URL: without this it could look around in the console's own network, or reach what
listens for this machine alone.  A second look-up, whose answer may be another, is never made.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from typing import Final

from django.conf import settings

from apps.chain.node.connections import Connections, seconds_left
from apps.core.marked_texts import gettext

TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""Networks whose addresses end with an IPv4 one.  Source: RFC 6052 section 2.1, RFC 4291 section 2.5.5.1."""


class HostNotPublic(ConnectionError):
    """The host of a URL has no public address."""


class PublicConnections(Connections):
    """Requests to one public host.  TLS ends its handshake within the time to connect, however it drips."""

    def _open(self, connect_s: float) -> HTTPConnection:
        """Connect to the first checked address that answers.  Raises HostNotPublic, OSError."""
        until = time.monotonic() + connect_s
        port = self._port or (443 if self._is_secure else 80)
        try:
            addresses = public_addresses_find(self._host, port=port, until=until)
            sock = address_open(addresses, port=port, until=until)
        except TimeoutError:
            text = gettext("no connection within {connect_s:g} s").format(connect_s=connect_s)
            raise ConnectionError(text) from None
        if not self._is_secure:
            plain = HTTPConnection(self._host, self._port)
            plain.sock = sock
            return plain
        context = ssl.create_default_context()
        secure = HTTPSConnection(self._host, self._port, context=context)
        try:
            secure.sock = context.wrap_socket(sock, server_hostname=self._host, do_handshake_on_connect=False)
            tls_begin(secure.sock, until=until)
        except BaseException:
            sock.close()
            secure.close()
            raise
        return secure


def public_addresses_find(host: str, *, port: int, until: float) -> list[str]:
    """Return the addresses of a host that may be connected to.

    Raises HostNotPublic, TimeoutError, socket.gaierror, UnicodeError.
    """
    found = host_resolve(host, port=port).result(timeout=seconds_left(until))
    fine = [address for address in found if settings.ALERT_URLS_PRIVATE or is_elsewhere(address)]
    if not fine:
        raise HostNotPublic(gettext("its host has no public address"))
    return fine


def host_resolve(host: str, *, port: int) -> Future[list[str]]:
    """Begin to look up the addresses of a host, in a thread of its own.

    The system waits for a name server as long as it likes, minutes with search domains; a tenant may have
    one that never answers, and the evaluation of all checks would wait with it.
    """
    addresses: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            addresses.set_exception(error)
        else:
            addresses.set_result([str(place[0]) for *_, place in found])

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    return addresses


def address_open(addresses: Sequence[str], *, port: int, until: float) -> socket.socket:
    """Connect to the first of some addresses that takes it.  Raises TimeoutError, OSError of the last one."""
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return socket.create_connection((address, port), timeout=seconds_left(until))
    return socket.create_connection((last, port), timeout=seconds_left(until))


def is_public(host: str) -> bool:
    """Return whether an IP address is one that clients anywhere can reach.

    One of IPv6 that leads to one of IPv4 is as public as that.
    """
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inner = _inner(address)
    is_local = address.is_site_local or address.is_multicast  # Python calls fec0::/10 global
    return address.is_global and not is_local and (inner is None or inner.is_global)


def is_elsewhere(host: str) -> bool:
    """Return whether an IP address is public, and not one of this machine's own.

    At its own public address a machine reaches what a firewall keeps from all others.
    """
    if not is_public(host):
        return False
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))  # the system refuses any other address
        return False
    return True


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address to which an IPv6 address is translated or tunnelled; None: to none."""
    if any(address in network for network in TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def is_private_literal(host: str) -> bool:
    """Return whether a host is written as an address that is not public, or as this machine's name."""
    if host.rstrip(".") == "localhost":
        return True
    try:
        return not is_public(host)
    except ValueError:
        return False


def tls_begin(sock: ssl.SSLSocket, *, until: float) -> None:
    """Shake hands until a moment of the monotonic clock: a timeout alone begins anew with each byte.

    Raises TimeoutError, ssl.SSLError.
    """
    sock.setblocking(False)
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            _wait_for(sock, select.POLLIN, until=until)
        except ssl.SSLWantWriteError:
            _wait_for(sock, select.POLLOUT, until=until)
        else:
            return


def _wait_for(sock: socket.socket, event: int, *, until: float) -> None:
    """Wait until a socket is ready; unlike `select.select` for one of any number."""
    poll = select.poll()
    poll.register(sock, event)
    poll.poll(1000 * seconds_left(until))
