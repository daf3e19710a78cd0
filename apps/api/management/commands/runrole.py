"""`manage.py runrole`: take part as one machine of filguard's distributed lotus-miner, with its flags."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import close_old_connections

from apps.api.management.caller import COMMAND
from apps.api.mk12.doors import Doors
from apps.api.sector_counter import SectorCounter, counter_serve
from apps.core import clock
from apps.core.errors import DomainError
from apps.miners.selectors.miners import miner_get, miners_visible
from apps.miners.selectors.roles import role_groups_of, roles_of
from apps.miners.services.roles import RoleGrant
from apps.miners.states import RoleKind, RoleState
from apps.sectors.services.roles.assignments import host_role_assign, host_role_remove, host_roles_renew
from apps.sectors.services.roles.groups import (
    GroupGrant,
    group_hosts_list,
    group_role_assign,
    group_role_remove,
)

if TYPE_CHECKING:
    from apps.miners.models import Miner

NOTICES: Final = {
    "p2p": "This miner will be disable p2p",
    "winning_post": "This miner will be disable minning block",
    "window_post": "This miner will be disable windowPoSt",
}
"""What filguard's miner prints when a flag is off, letter for letter."""
ROLES: Final[dict[str, tuple[RoleKind, ...]]] = {
    "window_post": (RoleKind.WINDOW,),
    "winning_post": (RoleKind.WINNING,),
    "p2p": (RoleKind.DEAL, RoleKind.SEAL),
}
"""What a flag that is on makes of the host."""
MANAGED: Final = {RoleKind.ALLOCATOR, *(kind for kinds in ROLES.values() for kind in kinds)}
"""What flags assign and remove."""
RENEWED_KINDS: Final = (RoleKind.ALLOCATOR, RoleKind.DEAL)
"""Roles whose leases this process prolongs; those of proofs go on while a prover of the host is there."""
RENEW_S: Final = 10.0
CONNECT_S: Final = 5.0


def go_bool(text: str) -> bool:
    """Read a flag as Go's `flag` does."""
    booleans = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
    if text.lower() not in booleans:
        raise ArgumentTypeError(f"{text!r} is not a boolean: use true or false")
    return booleans[text.lower()]


def ip_port(text: str) -> tuple[str, int]:
    """Read IP:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ArgumentTypeError(f"{text!r} is not IP:PORT, such as 192.168.1.50:1357")
    return host.strip("[]"), int(port)


def only_miner() -> str:
    """Return the one miner of the pool: filguard's flags name none.  Raises CommandError."""
    found = [miner.address for miner in miners_visible(COMMAND) if miner.address]
    if len(found) != 1:
        known = ", ".join(found[:5]) or "none"
        raise CommandError(f"specify the miner with --miner=f0…: there are {len(found)}: {known}")
    return found[0]


def kinds_requested(options: dict[str, Any]) -> set[RoleKind]:
    """Return the roles that the flags ask for."""
    requested = {kind for flag, kinds in ROLES.items() if options[flag] for kind in kinds}
    return requested | {RoleKind.ALLOCATOR} if options["sctype"] == "alloce" else requested


class Command(BaseCommand):
    """Assign this host its roles, hold them until SIGTERM, and print what changes."""

    help = (
        "Hold a miner's roles for this machine: --window-post, --winning-post, --p2p, --sctype, --sclisten."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define filguard's flags as it does: `--p2p=false`; one without a value is on."""
        parser.add_argument(
            "--miner", help="address of the miner, such as f01000; needed if there are several"
        )
        parser.add_argument("--host", default=socket.gethostname()[:100], help="name of this machine")
        for flag, what in (
            ("window-post", "compute WindowPoSt"),
            ("winning-post", "mine blocks"),
            ("p2p", "accept deals and seal"),
        ):
            parser.add_argument(f"--{flag}", nargs="?", const=True, default=True, type=go_bool, help=what)
            parser.add_argument(f"--no-{flag}", dest=flag.replace("-", "_"), action="store_false")
        parser.add_argument(
            "--sctype", choices=["alloce", "get"], help="allocate sector numbers (alloce), or get them (get)"
        )
        parser.add_argument("--sclisten", type=ip_port, help="IP:PORT of the sector number service")
        parser.add_argument("--group", default="", help="assign the roles to all hosts in this group")
        parser.add_argument("--once", action="store_true", help="set the roles and exit")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run; SIGTERM hands back the roles of this machine."""
        if (options["sctype"] is None) != (options["sclisten"] is None):
            raise CommandError("--sctype and --sclisten must be used together")
        stop = threading.Event()
        if not options["once"]:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
        try:
            miner = miner_get(COMMAND, options["miner"] or only_miner())
            if options["group"]:
                self._group_set(miner, options)
            else:
                self._roles_set(miner, options)
            self._reported: dict[str, str] = {}
            self._report(miner, options["host"])
            if not options["once"]:
                self._run(miner, options, stop)
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None

    def _group_set(self, miner: Miner, options: dict[str, Any]) -> None:
        """Assign and remove the roles of this host's group as the flags say.  Raises CommandError."""
        host, group, now = options["host"], options["group"], clock.now()
        if host not in group_hosts_list(miner.tenant_id, group=group):
            raise CommandError(
                f"no worker on {host} is in the group {group}: set its group on the host's page"
            )
        requested = self._requested(options)
        present = {row.kind for row in role_groups_of(miner) if row.group == group}
        for kind in sorted((present & MANAGED) - requested):
            group_role_remove(miner, group=group, kind=kind, principal=COMMAND, now=now)
        for kind in sorted(requested - present):
            group_role_assign(miner, grant=GroupGrant(group=group, kind=kind), principal=COMMAND, now=now)
        host_roles_renew(miner.tenant_id, host=host, kinds=RENEWED_KINDS, now=now)

    def _requested(self, options: dict[str, Any]) -> set[RoleKind]:
        """Return the roles that the flags ask for, and print filguard's notices."""
        for flag, notice in NOTICES.items():
            if not options[flag]:
                self.stdout.write(notice)
        return kinds_requested(options)

    def _roles_set(self, miner: Miner, options: dict[str, Any]) -> None:
        """Assign and remove this host's own roles as the flags say."""
        host, now = options["host"], clock.now()
        requested = self._requested(options)
        present = {row.kind for row in roles_of(miner) if row.host == host and not row.group}
        for kind in sorted((present & MANAGED) - requested):
            host_role_remove(miner, host=host, kind=kind, principal=COMMAND, now=now)
        for kind in sorted(requested - present):
            host_role_assign(miner, grant=RoleGrant(host=host, kind=kind), principal=COMMAND, now=now)
        host_roles_renew(miner.tenant_id, host=host, kinds=RENEWED_KINDS, now=now)

    def _run(self, miner: Miner, options: dict[str, Any], stop: threading.Event) -> None:
        host, server = options["host"], None
        kinds = kinds_requested(options)
        if options["sctype"] == "alloce":
            counter = SectorCounter(miner.address, host, lambda: self._token(miner, host))
            try:
                server = counter_serve(counter, address=options["sclisten"])
            except OSError as error:
                raise CommandError(
                    f"cannot listen on {_address_text(options['sclisten'])}: {error}"
                ) from None
            threading.Thread(target=server.serve_forever, name="sector-counter", daemon=True).start()
            self.stdout.write(f"sector numbers of {miner} on {_address_text(options['sclisten'])}")
        elif options["sctype"] == "get":
            self._server_check(options["sclisten"])
        door = self._door_start(miner, host, stop) if options["p2p"] else None
        try:
            while not stop.wait(RENEW_S):
                self._step(miner, host)
        finally:
            stop.set()
            if door is not None:
                door.join()
            if server is not None:
                server.shutdown()
                server.server_close()
            self._release(miner, host, kinds)
            self.stdout.write("ended")

    def _door_start(self, miner: Miner, host: str, stop: threading.Event) -> threading.Thread:
        """Serve the miner's libp2p door beside, while its page has one switched on and this host the role."""
        doors = Doors(host=host, only=miner.address or "", say=self.stdout.write)
        door = threading.Thread(
            target=lambda: asyncio.run(doors.run(asked_to_stop=stop.is_set)), name="doors", daemon=True
        )
        door.start()
        return door

    def _release(self, miner: Miner, host: str, kinds: Collection[RoleKind]) -> None:
        """Release this machine's roles, as filguard's miner does by ending: those on standby take over."""
        present = {row.kind for row in roles_of(miner) if row.host == host and not row.group}
        for kind in sorted(present & set(kinds)):
            host_role_remove(miner, host=host, kind=kind, principal=COMMAND, now=clock.now())
            self.stdout.write(f"{kind}: released")

    def _step(self, miner: Miner, host: str) -> None:
        """Prolong what this process holds; a database that is away is tried again."""
        close_old_connections()
        try:
            host_roles_renew(miner.tenant_id, host=host, kinds=RENEWED_KINDS, now=clock.now())
            self._report(miner, host)
        except DatabaseError as error:
            self.stderr.write(f"roles not renewed: {str(error).strip()}")

    def _token(self, miner: Miner, host: str) -> int:
        row = roles_of(miner).filter(host=host, kind=RoleKind.ALLOCATOR).first()
        return -1 if row is None else row.token

    def _report(self, miner: Miner, host: str) -> None:
        """Print the roles of this host that have changed."""
        rows = list(roles_of(miner))
        holders = {row.kind: row.host for row in rows if row.state == RoleState.HELD and row.is_exclusive}
        reported = {}
        for row in rows:
            if row.host == host:
                other = holders.get(row.kind, "nobody")
                is_standby = row.state == RoleState.STANDBY
                reported[row.kind] = f"{row.state.lower()}{f', {other} holds it' if is_standby else ''}"
        for kind, text in reported.items():
            if self._reported.get(kind) != text:
                self.stdout.write(f"{kind}: {text}")
        for kind in self._reported.keys() - reported.keys():
            self.stdout.write(f"{kind}: removed")
        self._reported = reported

    def _server_check(self, address: tuple[str, int]) -> None:
        """Print whether the host that allocates sector numbers answers; the database is asked either way."""
        try:
            socket.create_connection(address, timeout=CONNECT_S).close()
        except OSError as error:
            self.stderr.write(f"no response from {_address_text(address)}: {error}")
        else:
            self.stdout.write(f"sector numbers from {_address_text(address)}")


def _address_text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"
