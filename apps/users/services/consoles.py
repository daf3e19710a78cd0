"""Console machines join a pool and leave it.

A join token lets one machine fetch what all consoles share, the key of sessions and the addresses of database
and Redis among it: whoever has that has the pool.  So only the operator makes one, it lasts an hour, and ends
with the first start of the machine that used it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.db import transaction

from apps.core import clock
from apps.core.consoles import MACHINE, consoles_seen, heartbeats_forget
from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from apps.core.models import Console, ProcessLease
from apps.users.errors import (
    ConsoleTokenUsed,
    ConsoleWorks,
    MachineTaken,
    NoConsoleToken,
    OtherVersion,
    ServersEmbedded,
)
from apps.users.models import Tenant, Token
from apps.users.rules.principals import Principal
from apps.users.selectors.tokens import token_by_text, token_facts
from apps.users.services.audit import audit_record
from apps.users.services.tokens import token_issue, token_revoke
from apps.users.states import CONSOLE, JOIN_CONSOLE, POOL, Perm
from poolsite.console_folder import SHARED
from poolsite.wire.hosts import VERSION

VALID_FOR: Final = timedelta(hours=1)
"""How long a machine may take until it joins."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@transaction.atomic
def console_token_issue(*, by: Principal) -> str:
    """Create a token with which one console machine joins, and return its text.

    Raises NotAllowed for all but the operator, ServersEmbedded if no other machine reaches the servers.
    """
    if not by.is_operator or by.is_limited or not by.may(Perm.ADMIN):
        raise NotAllowed(gettext("only the pool's operator can do this"))
    shared_settings_read()
    tenant, expires_at = Tenant.objects.get(name=POOL), clock.now() + VALID_FOR
    text = token_issue(
        tenant=tenant,
        name="join a console",
        perm=Perm.READ,
        scopes=[JOIN_CONSOLE],
        expires_at=expires_at,
        by=by,
    )
    row = token_by_text(text)
    assert row is not None
    row.joins = CONSOLE
    row.save(update_fields=["joins"])
    audit_record(principal=by, action="token.create", target=str(row), after=token_facts(row))
    return text


@transaction.atomic
def console_join(*, by: Principal, folder: str, machine: str, version: str) -> dict[str, str]:
    """Note that a machine joins, and return the settings that it shares with the others.

    A machine that never heard the answer asks again with the same folder id, until its first start.
    Raises NoConsoleToken, ConsoleTokenUsed, OtherVersion, BadValue, MachineTaken, ServersEmbedded.
    """
    rows = Token.objects.select_for_update().filter(joins=CONSOLE)
    row = rows.filter(pk=by.token_id).first() if by.token_id else None
    if row is None:
        raise NoConsoleToken
    has_started = Console.objects.filter(folder=folder).exclude(started_at=None).exists()
    if row.joined_uid not in ("", folder) or (row.joined_uid and has_started):
        raise ConsoleTokenUsed
    if version != VERSION:
        raise OtherVersion(own=VERSION, other=version)
    if MACHINE.fullmatch(machine) is None:
        raise BadValue(
            gettext("must be 1 to 30 letters, digits, dots, hyphens or underscores"), field="machine"
        )
    is_taken = machine == settings.MACHINE_NAME or (
        Console.objects.filter(machine=machine).exclude(folder=folder).exists()
    )
    if is_taken:
        raise MachineTaken(machine)
    shared = shared_settings_read()
    Console.objects.filter(folder=folder).exclude(machine=machine).delete()  # of a try under another name
    Console.objects.update_or_create(
        machine=machine,
        defaults={
            "folder": folder,
            "version": version,
            "joined_at": clock.now(),
            "joined_by": row.created_by,
            "started_at": None,
        },
    )
    row.joined_uid = folder
    row.save(update_fields=["joined_uid"])
    after = {"folder": folder, "version": version, "settings": sorted(shared)}
    audit_record(principal=by, action="console.join", target=machine, after=after)
    return shared


def shared_settings_read() -> dict[str, str]:
    """Return the settings of this console that hold for all of the pool.

    Raises ServersEmbedded where its database or Redis answers on a socket of this machine alone.
    """
    shared = {name: os.environ[name] for name in SHARED if os.environ.get(name)}
    if is_socket(shared.get("DATABASE_URL", "")):
        raise ServersEmbedded("DATABASE_URL")
    if is_socket(shared.get("REDIS_URL", "")):
        raise ServersEmbedded("REDIS_URL")
    shared["CHAIN_URLS"] = ",".join(settings.CHAIN_URLS)
    if settings.SESSION_COOKIE_SECURE:  # by other settings than those of `make up`, which have the switch
        shared["POOLSITE_TLS"] = "1"
    if (urlsplit(shared.get("POOLSITE_URL", "")).hostname or "localhost") in LOOPBACK:
        shared.pop("POOLSITE_URL", None)  # how people reach this machine from itself
    return shared


def is_socket(url: str) -> bool:
    """Return whether a server's URL names a socket of this machine, or none at all."""
    parts = urlsplit(url)
    host = dict(parse_qsl(parts.query)).get("host", parts.hostname or "")
    return parts.scheme == "unix" or not host or host.startswith("/")


@transaction.atomic
def console_remove(*, by: Principal, machine: str) -> None:
    """Forget a machine that is gone, and revoke its join token.  Raises NotFound, ConsoleWorks.

    What it has of the pool's secrets it keeps: they are changed where it was lost to somebody, who must not
    fetch the new ones with that token.
    """
    seen = next((one for one in consoles_seen() if one.row.machine == machine), None)
    if seen is None:
        raise NotFound(gettext("there is no console machine {machine!r}").format(machine=machine))
    if seen.works:
        raise ConsoleWorks(machine)
    before = {"folder": seen.row.folder, "version": seen.row.version}
    seen.row.delete()
    if seen.row.folder:  # without one a token was not used
        for token in Token.objects.filter(joins=CONSOLE, joined_uid=seen.row.folder, revoked_at=None):
            token_revoke(token)
    # A process that was given up ends when it wakes, by its row.
    ProcessLease.objects.filter(machine=machine, is_given_up=False).delete()
    audit_record(principal=by, action="console.remove", target=machine, before=before)
    transaction.on_commit(lambda: heartbeats_forget(machine))
