"""Hosts and a console of different versions: which of them is to be upgraded, said where people look."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from apps.core.live import Change, publish
from apps.core.uuids import is_uuid
from apps.sectors.models import Worker
from apps.sectors.reasons import CONSOLE_OLDER, HOST_NEWER, HOST_OLDER, REQUESTS_REFUSED
from poolsite.wire.codec import UNKNOWN_FIELD, BadWire, Text, decode
from poolsite.wire.hosts import VERSION
from poolsite.wire.jobs import NAME_MAX

OWN_VERSION: Final = re.compile(r"poolsite/\d{1,9}\.\d{1,9}\.\d{1,9}", re.ASCII)


def versions_compare(host: str) -> str:
    """Return which of a host and this console is to be upgraded first; empty: they run the same.

    Of the version of a program that is not ours nothing is known: empty, too.
    """
    if host == VERSION or not OWN_VERSION.fullmatch(host):
        return ""
    kind = HOST_OLDER if _parts(host) < _parts(VERSION) else HOST_NEWER
    return kind(host=host, console=VERSION)


def unknown_field_note(body: object, *, field: str, uuid: str, tenant_id: int, now: datetime) -> str:
    """Return why a request has a field that this console does not know, and note it on its host's row.

    `body` is the request's, which nobody has checked; `uuid` names the worker where its address does.
    The next heartbeat that is understood takes the note away.
    """
    uid, version = _text(body, "uid"), _text(body, "version")[:NAME_MAX]
    uuid = uuid or _text(body, "worker_id")
    rows = Worker.objects.filter(tenant_id=tenant_id, retired_at=None)
    rows = rows.filter(uid=uid) if uid else rows.filter(uuid=uuid) if is_uuid(uuid) else rows.none()
    worker = rows.first()
    version = version or ("" if worker is None else worker.version)
    text = versions_compare(version) or CONSOLE_OLDER(console=VERSION)
    if worker is not None:
        error = REQUESTS_REFUSED(text=text, field=field[:NAME_MAX])
        if rows.exclude(last_error=error).update(last_error=error, updated_at=now):
            publish(Change("worker", worker.pk, tenant_id))
    return f"{UNKNOWN_FIELD}: {text}"


def _text(body: object, name: str) -> str:
    """Return a text of an unchecked body; empty where it is none that a database stores."""
    try:
        return str(decode(Text, body.get(name, "") if isinstance(body, dict) else ""))
    except BadWire:
        return ""


def _parts(version: str) -> list[int]:
    """Return the numbers of a version of ours."""
    return [int(part) for part in version.partition("/")[2].split(".")]
