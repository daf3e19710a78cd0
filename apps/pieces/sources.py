"""Raw bytes from a URL: only from public hosts, and from the very address that was checked."""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from string import punctuation
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from django.conf import settings
from django.utils.translation import gettext

from apps.core.connection_faults import fault_text
from apps.core.errors import BadValue
from apps.miners.deal_reach import is_public
from apps.pieces.socket_watch import SocketWatch

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

CONNECT_S: Final = 10.0
IDLE_S: Final = 60.0
"""A source that sends nothing for so long fails."""
SLOW_S: Final = 60.0
SLOW_RATE: Final = 256 << 10
"""Bytes a second, over all, and `SLOW_S` beside: a source that sends fewer fails."""
REDIRECTS_MAX: Final = 5
URL_MAX: Final = 2_000


TRY_AGAIN: Final = (408, 425, 429)
"""Refusals that pass by themselves, as those of 500 and more."""


class SourceAway(Exception):
    """The source does not give the bytes; the reason names no credentials."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final
        """Whether it would not give them later either."""


def url_check(url: str) -> None:
    """Refuse what is no URL to fetch from.  Raises BadValue."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadValue("is not a valid URL", field="url") from None
    if len(url) > URL_MAX or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadValue(gettext("must be an http:// or https:// URL"), field="url")
    if parts.username is not None:
        raise BadValue(gettext("must not contain a user name or password"), field="url")


def url_shown(url: str) -> str:
    """Return a URL without what may be a key: user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Body:
    """What a URL gives, within its time: that between two reads is the reader's."""

    def __init__(self, response: HTTPResponse, watch: SocketWatch) -> None:
        self.response, self.watch = response, watch
        self.size = response.length
        """How many bytes the source says that it has; None where it does not."""
        watch.pause()

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the end.  Raises SourceAway if it is too slow or breaks off."""
        self.watch.resume()
        try:
            part = self.response.read(size)
        except (OSError, HTTPException) as error:
            raise SourceAway(
                self.watch.reason
                or gettext("the download was cut off: {error}").format(error=fault_text(error))
            ) from None
        if self.watch.reason:  # the end of a socket reads like the end of the bytes
            raise SourceAway(self.watch.reason)
        if not part and self.response.length:
            raise SourceAway(
                gettext("the download ended {length} bytes early").format(length=self.response.length)
            )
        self.watch.extend(len(part))
        self.watch.pause()
        return part


@contextmanager
def url_opened(url: str, *, stop: threading.Event | None = None) -> Iterator[Body]:
    """Return the body of a URL, redirects followed, ready to be read, unless `stop` is set.

    Raises SourceAway.
    """
    connection: HTTPConnection | None = None
    reason = ""
    try:
        for _ in range(REDIRECTS_MAX):
            url_check(url)
            connection = url_connect(url)
            parts = urlsplit(url)
            target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=punctuation)
            watch = SocketWatch(connection.sock, rate=SLOW_RATE, slow_s=SLOW_S, stop=stop)
            with watch.started():
                try:
                    connection.request(
                        "GET", target, headers={"User-Agent": "Poolsite", "Accept-Encoding": "identity"}
                    )
                    response = connection.getresponse()
                except (OSError, HTTPException):
                    reason = watch.reason
                    raise
                with response:  # of an answer without keep-alive the connection has let the socket go
                    if response.status == 200:
                        yield Body(response, watch)
                        return
            if response.status not in (301, 302, 303, 307, 308):
                raise SourceAway(
                    gettext("the source answered {status}").format(status=response.status),
                    is_final=response.status < 500 and response.status not in TRY_AGAIN,
                )
            url = urljoin(url, response.headers.get("Location", ""))
            connection.close()
        raise SourceAway(gettext("more than {most} redirects").format(most=REDIRECTS_MAX), is_final=True)
    except BadValue as error:
        raise SourceAway(
            gettext("it redirects to an address that {error}").format(error=error.reason), is_final=True
        ) from None
    except (OSError, HTTPException) as error:
        raise SourceAway(reason or gettext("no response: {error}").format(error=fault_text(error))) from None
    except ValueError:  # a host that no name can be, a redirect to half of an address
        raise SourceAway(gettext("its URL, or one it redirects to, is not valid"), is_final=True) from None
    finally:
        if connection is not None:
            connection.close()


def url_connect(url: str, *, is_private_fine: bool = False) -> HTTPConnection:
    """Connect to the address that was looked up here, so that no second look-up gives another.

    Raises SourceAway if it is not a public one, unless that is fine, and if TLS with it fails or drips.
    """
    parts = urlsplit(url)
    host, is_secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    sock = socket.create_connection(
        (_address(host, port, is_private_fine=is_private_fine), port), timeout=CONNECT_S
    )
    sock.settimeout(IDLE_S)
    if not is_secure:
        plain = HTTPConnection(host, port)
        plain.sock = sock
        return plain
    context = ssl.create_default_context()
    secure = HTTPSConnection(host, port, context=context)
    secure.sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    watch = SocketWatch(secure.sock, rate=SLOW_RATE, slow_s=SLOW_S)
    try:
        with watch.started():
            secure.sock.do_handshake()
    except OSError as error:
        secure.close()
        raise SourceAway(watch.reason or gettext("TLS failed: {error}").format(error=error)) from None
    return secure


def _address(host: str, port: int, *, is_private_fine: bool) -> str:
    """Return an address of a host.  Raises SourceAway if it is not a public one."""
    is_private_fine = is_private_fine or settings.PIECE_URLS_PRIVATE
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, (address, *_rest) in found:
        if is_private_fine or is_public(str(address)):
            return str(address)
    raise SourceAway(gettext("its host has no public address"), is_final=True)
