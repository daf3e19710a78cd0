"""Where a node is: API strings as lotus and venus write them.

Forms: `URL`, `multiaddress`, or one of both behind `token:`.
Source: lotus cli/util/apiinfo.go ParseApiInfo, DialArgs; venus venus-shared/api/api_info.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from apps.chain.errors import BadNodeAddress
from apps.core.marked_texts import gettext

_TOKEN: Final = re.compile(r"^([A-Za-z0-9\-_]+\.[A-Za-z0-9\-_]*\.[A-Za-z0-9\-_]*):(.+)$", re.DOTALL)
_HEADER: Final = re.compile(r"[\x21-\x7e]*")
"""What an HTTP header carries as a token."""
_SECURE: Final = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_SOCKET: Final = {"http": "ws", "https": "wss"}
_DEFAULT_PATH: Final = "/rpc/v1"


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """One node's API."""

    http_url: str
    """For calls."""
    ws_url: str
    """For subscriptions."""
    token: str

    @property
    def base(self) -> str:
        """The HTTP form without its path."""
        parts = urlsplit(self.http_url)
        return f"{parts.scheme}://{parts.netloc}"

    @classmethod
    def of(cls, *, url: str, token: str) -> NodeAddress:
        """Return the address whose HTTP form is `url`."""
        return cls(http_url=url, ws_url=f"ws{url.removeprefix('http')}", token=token)


def node_address(text: str, *, token: str = "", field: str = "CHAIN_URLS") -> NodeAddress:
    """Read an API string, or one whose token is known apart from it.  Raises BadNodeAddress."""
    found = _TOKEN.match(text.strip())
    own_token, place = (found[1], found[2]) if found else ("", text.strip())
    token = token or own_token
    if not _HEADER.fullmatch(token):
        raise BadNodeAddress(gettext("the token has characters that no HTTP header carries"), field="token")
    if place.startswith("/"):
        place = _multiaddress_url(place, field=field)
    try:
        parts = urlsplit(place)
        is_address = parts.scheme in _SECURE and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range or no number, a bracket without its other one
        is_address = False
    if not is_address:
        raise BadNodeAddress(gettext("{place!r} is not a node address").format(place=place), field=field)
    scheme = _SECURE[parts.scheme]
    path = parts.path.rstrip("/") or _DEFAULT_PATH
    return NodeAddress(
        http_url=f"{scheme}://{parts.netloc}{path}",
        ws_url=f"{_SOCKET[scheme]}://{parts.netloc}{path}",
        token=token,
    )


def _multiaddress_url(text: str, *, field: str) -> str:
    """Turn `/ip4/127.0.0.1/tcp/1234/http` into a URL; without a suffix it is a plain one."""
    parts = text.strip("/").split("/")
    if len(parts) < 4 or parts[0] not in {"ip4", "ip6", "dns", "dns4", "dns6"} or parts[2] != "tcp":
        raise BadNodeAddress(gettext("{text!r} is not a node multiaddress").format(text=text), field=field)
    host = f"[{parts[1]}]" if parts[0] == "ip6" else parts[1]
    rest = parts[4:]
    scheme = rest[0] if rest and rest[0] in _SECURE else "http"
    version = rest[rest.index("version") + 1] if "version" in rest[:-1] else "v1"
    return f"{scheme}://{host}:{parts[3]}/rpc/{version}"
