"""Order several database servers: the one that was reached last is tried first.

libpq tries them in the order of the URL each time: once the first one's machine is lost, every new session
would wait seconds for it.
"""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import connection


class _Reached:
    """The server of this process's newest session."""

    server = ("", "")
    """Host and port."""


def reached_first(params: dict[str, Any]) -> dict[str, Any]:
    """Return psycopg2's parameters with the server that was reached last in front."""
    hosts, ports = str(params.get("host", "")).split(","), str(params.get("port", "")).split(",")
    if len(hosts) == 1 or len(ports) not in {1, len(hosts)}:
        return params
    servers = list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=True))
    servers.sort(key=lambda server: server != _Reached.server)
    ordered = {"host": ",".join(host for host, _ in servers)}
    if len(ports) > 1:
        ordered["port"] = ",".join(port for _, port in servers)
    return params | ordered


def reached_note(params: dict[str, Any], link: connection) -> None:
    """Remember the server of a new session, if there are several."""
    if "," in str(params.get("host", "")):
        ports = str(params.get("port", ""))
        _Reached.server = (link.info.host or "", str(link.info.port) if "," in ports else ports)
