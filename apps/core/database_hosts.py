"""Several database servers: the one that was reached last is tried first.

libpq asks them in the order of the URL each time: after the first one's machine is lost, every session would
begin with seconds of waiting for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg2.extensions import connection


class _Reached:
    """Host and port of this process's newest session."""

    place = ("", "")


def reached_first(params: dict[str, Any]) -> dict[str, Any]:
    """Return what psycopg2 connects with, its hosts in the order in which they are worth a try."""
    hosts, ports = str(params.get("host", "")).split(","), str(params.get("port", "")).split(",")
    if len(hosts) == 1 or len(ports) not in {1, len(hosts)}:
        return params
    places = list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=True))
    places.sort(key=lambda place: place != _Reached.place)
    ordered = {"host": ",".join(host for host, _ in places)}
    if len(ports) > 1:
        ordered["port"] = ",".join(port for _, port in places)
    return params | ordered


def reached_note(params: dict[str, Any], link: connection) -> None:
    """Note which of several servers a new session is with."""
    if "," in str(params.get("host", "")):
        ports = str(params.get("port", ""))
        _Reached.place = (link.info.host or "", str(link.info.port) if "," in ports else ports)
