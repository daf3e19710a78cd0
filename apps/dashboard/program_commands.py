"""The commands that start a program of the pool on another machine: its token goes into a file.

What stands on a command line is read by everybody on that machine, and the shell keeps it.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext

NODE_CONFIG: Final = """[Subsystems]
  DisableWindowPoSt = true
  DisableWinningPoSt = true"""
"""What a lotus-miner that has the pool as its node leaves to it.  Source: filecoin-project/lotus
node/config/types.go; EnableMining must stay true, or it does not seal."""
CLONE: Final = "git clone {source} poolsite && cd poolsite\n"


def console_url(request: HttpRequest) -> str:
    """Return the console's address for programs on other machines: that of this request."""
    return request.build_absolute_uri("/").rstrip("/")


def is_loopback(url: str) -> bool:
    """Return whether an address names the machine that uses it."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def program_commands(start: str, *, into: str) -> str:
    """Return the lines that fetch the programs, if it is known from where, store a token and start one.

    The last two are one command: pasted together, the start is not taken for the token.
    """
    clone = CLONE.format(source=settings.SOURCE_URL) if settings.SOURCE_URL else ""
    paste = gettext("paste the token, Enter, Ctrl-D")
    return f"{clone}(umask 077; cat > {into}) &&    # {paste}\n{start}"


def node_line(token: str, *, origin: str) -> str:
    """Return the line that has a program of lotus use the console at `origin` as its node.

    lotus reads a multiaddress as one without TLS; for TLS it needs a URL whose scheme is wss, since it
    subscribes to heads.  Source: filecoin-project/lotus cli/util/apiinfo.go.
    """
    place = urlsplit(origin)
    host = place.hostname or ""
    if place.scheme == "https":
        return f"FULLNODE_API_INFO={token}:wss://{place.netloc}"
    try:
        kind = f"ip{ip_address(host).version}"
    except ValueError:
        kind = "dns"
    return f"FULLNODE_API_INFO={token}:/{kind}/{host}/tcp/{place.port or 80}/http"


def programs_place() -> str:
    """Return the sentence that says where to run the commands."""
    if settings.SOURCE_URL:
        return gettext("on its machine")
    return gettext("on its machine, in a copy of the console's folder without var and .venv")
