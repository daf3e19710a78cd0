"""Raw bytes from a URL: only from public hosts, and from the very address that was checked."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from string import punctuation
from typing import Final
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from django.conf import settings

from apps.chain.node.public_hosts import is_elsewhere
from apps.core.connection_faults import fault_text
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.pieces.data.socket_watch import SocketWatch

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
RANGE_ANSWERS: Final = (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
"""Answers to a request for the rest."""
CONTENT_RANGE: Final = re.compile(r"bytes (?:\*|(?P<first>\d+)-\d+)/(?P<size>\d+|\*)", re.ASCII)
LENGTH: Final = re.compile(r"\d{1,18}", re.ASCII)
TAG_MAX: Final = 200
"""Characters of a tag that is kept."""


HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,4000}", re.ASCII)
OWN_HEADERS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "content-type", "expect", "host", "if-range"),
        *("proxy-authorization", "range", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""What a client does not set: how the connection goes on, and which bytes are asked for."""
HEADERS_MAX: Final = 16 << 10


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
        raise BadValue(gettext("is not a valid URL"), field="url") from None
    if len(url) > URL_MAX or not url.isprintable():
        raise BadValue(gettext("is not a valid URL"), field="url")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadValue(gettext("must be an http:// or https:// URL"), field="url")
    if parts.username is not None:
        raise BadValue(gettext("must not contain a user name or password"), field="url")


def url_shown(url: str) -> str:
    """Return a URL without what may be a key: user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def headers_check(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse headers that are none, or that say how a connection goes on.  Raises BadValue."""
    for name, value in headers:
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise BadValue(gettext("has a header that cannot be sent"), field="headers")
        if name.lower() in OWN_HEADERS:
            raise BadValue(
                gettext("has a header that is not the client's: {name}").format(name=name), field="headers"
            )
    if sum(len(name) + len(value) for name, value in headers) > HEADERS_MAX:
        raise BadValue(
            gettext("has headers of more than {most} bytes").format(most=HEADERS_MAX), field="headers"
        )


class Body:
    """What a URL gives, within its time: that between two reads is the reader's."""

    def __init__(
        self,
        response: HTTPResponse,
        watch: SocketWatch,
        connection: HTTPConnection,
        *,
        first: int = 0,
        is_head: bool = False,
    ) -> None:
        self.response, self.watch, self.connection = response, watch, connection
        self.first = first
        """Number of its first byte."""
        self.tag = tag_of(response)
        self.is_empty = response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        """Whether nothing comes, because all came before."""
        length = 0 if self.is_empty else response.length
        if is_head:  # some answer it with a length of 0 instead of none
            stated = response.headers.get("Content-Length", "")
            length = (int(stated) or None) if LENGTH.fullmatch(stated) else None
        self.takes_ranges = first > 0 or response.headers.get("Accept-Ranges", "").lower() == "bytes"
        """Whether it says, or has shown, that it gives parts."""
        self.size = None if length is None else first + length
        """How many bytes the source says that it has; None where it does not."""
        self.total = _total_of(response) if first else self.size
        """How many it has beside a part."""
        watch.pause()

    def __enter__(self) -> Body:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close its connection, with what is unread: the source sees that at once."""
        self.response.close()
        self.connection.close()

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the end.  Raises SourceAway if it is too slow or breaks off."""
        if self.is_empty:
            return b""
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


def tag_of(response: HTTPResponse) -> str:
    """Return by what name a source knows these very bytes again; empty if it has none, or a weak one."""
    tag: str = response.headers.get("ETag", "")
    return tag if tag.startswith('"') and tag.isascii() and tag.isprintable() and len(tag) <= TAG_MAX else ""


def _total_of(response: HTTPResponse) -> int | None:
    """Return of how many bytes an answer says that it is a part; None where it does not."""
    span = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return int(span["size"]) if span is not None and LENGTH.fullmatch(span["size"]) else None


def _target(url: str) -> str:
    """Return what is requested of a host, percent-encoded."""
    parts = urlsplit(url)
    return quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=punctuation)


def _origin(url: str) -> tuple[str, str]:
    """Return scheme and place of a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _request_send(
    connection: HTTPConnection, target: str, headers: Sequence[tuple[str, str]], *, method: str
) -> None:
    """Send a request, each header as often as it is named; what the client names replaces ours."""
    named = {name.lower() for name, _ in headers[2:]}
    connection.putrequest(method, target, skip_accept_encoding=True)
    for at, (name, value) in enumerate(headers):
        if at >= 2 or name.lower() not in named:
            connection.putheader(name, value)
    connection.endheaders()


def _next_url(url: str, response: HTTPResponse, *, is_rest_asked: bool) -> str:
    """Return where to go on after an answer without the bytes: the same where it has no such rest.

    Raises SourceAway.
    """
    if response.status in (301, 302, 303, 307, 308):
        return urljoin(url, response.headers.get("Location", ""))
    if is_rest_asked and response.status in RANGE_ANSWERS:
        return url
    raise SourceAway(
        gettext("the source answered {status}").format(status=response.status),
        is_final=response.status < 500 and response.status not in TRY_AGAIN,
    )


def _is_rest(response: HTTPResponse, *, first: int, tag: str) -> bool:
    """Return whether an answer has the rest of what has that tag: from `first` on, or nothing more."""
    if not first or tag_of(response) not in ("", tag):
        return False
    span = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if span is None:
        return False
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        return span["first"] == str(first)
    return response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and span["size"] == str(first)


@contextmanager
def url_opened(
    url: str,
    *,
    first: int = 0,
    last: int | None = None,
    tag: str = "",
    headers: Sequence[tuple[str, str]] = (),
    method: str = "GET",
    rate: int = SLOW_RATE,
    stop: threading.Event | None = None,
) -> Iterator[Body]:
    """Return the body of a URL, redirects followed, ready to be read, unless `stop` is set.

    The client's headers go to the host of its URL only, not to where that redirects.

    It begins at byte `first`, and ends with byte `last`, if the source still has what it named `tag` and
    gives parts, else it begins at its first byte.  Raises SourceAway.
    """
    connection: HTTPConnection | None = None
    reason, origin = "", _origin(url)
    try:
        for _ in range(REDIRECTS_MAX):
            url_check(url)
            connection = url_connect(url)
            sent = [("User-Agent", "Poolsite"), ("Accept-Encoding", "identity")]
            sent += headers if _origin(url) == origin else ()
            if first:
                sent.append(("Range", f"bytes={first}-{'' if last is None else last}"))
                sent += [("If-Range", tag)] if tag else []
            watch = SocketWatch(connection.sock, rate=rate, slow_s=SLOW_S, stop=stop)
            with watch.started():
                try:
                    _request_send(connection, _target(url), sent, method=method)
                    response = connection.getresponse()
                except (OSError, HTTPException):
                    reason = watch.reason
                    raise
                with response:  # of an answer without keep-alive the connection has let the socket go
                    is_rest = _is_rest(response, first=first, tag=tag)
                    if is_rest or response.status == HTTPStatus.OK:
                        begin, is_head = first if is_rest else 0, method == "HEAD"
                        yield Body(response, watch, connection, first=begin, is_head=is_head)
                        return
            url = _next_url(url, response, is_rest_asked=first > 0)
            first = 0 if response.status in RANGE_ANSWERS else first
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


def size_announced(
    url: str, *, headers: Sequence[tuple[str, str]] = (), stop: threading.Event | None = None
) -> int | None:
    """Return how many bytes a URL has by its answer to HEAD; None where it does not say, or refuses that."""
    try:
        with url_opened(url, headers=headers, method="HEAD", stop=stop) as answer:
            return answer.size
    except SourceAway:  # what is wrong with it, a GET tells
        return None


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
        if is_private_fine or is_elsewhere(str(address)):
            return str(address)
    raise SourceAway(gettext("its host has no public address"), is_final=True)
