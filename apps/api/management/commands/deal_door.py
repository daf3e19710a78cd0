"""`manage.py deal_door`: serve market 1.2 over libp2p for one miner, while this host has its role *Deal*."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import close_old_connections

from apps.api.management.caller import COMMAND
from apps.api.management.commands.runrole import ip_port
from apps.api.mk12.answers import Door
from apps.api.mk12.streams import Streams
from apps.core import clock
from apps.core.errors import DomainError
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.roles import roles_of
from apps.miners.services.roles import RoleGrant
from apps.miners.states import RoleKind, RoleState
from apps.sectors.services.roles.assignments import host_role_assign, host_roles_renew
from poolsite.filecoin.multiaddr import BadMultiaddr, multiaddr_encode, multiaddr_parse
from poolsite.libp2p.identity import Identity, peer_id_text
from poolsite.libp2p.listener import Listener
from poolsite.private_files import locked, private_folder, private_write

if TYPE_CHECKING:
    from apps.miners.models import Miner

RENEW_S: Final = 10.0
SEED_BYTES: Final = 32
AGENT: Final = "poolsite"


def identity_read(path: Path) -> Identity:
    """Return the peer's key of a private file, which is made if it is not there.  Raises CommandError."""
    try:
        private_folder(path.parent)
        with locked(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                private_write(path, secrets.token_bytes(SEED_BYTES).hex())
            if path.stat().st_mode & 0o077:
                raise CommandError(f"{path} can be read by others: chmod 600 it, or make a new key")
            return Identity.of_seed(bytes.fromhex(path.read_text().strip()))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} holds no peer key: {error}") from None


def multiaddress(text: str) -> str:
    """Read a multiaddress.  Raises CommandError."""
    try:
        multiaddr_parse(text)
    except BadMultiaddr as error:
        raise CommandError(str(error)) from None
    return text


class Command(BaseCommand):
    """Hold the role and serve until SIGTERM; a host on standby waits for its turn."""

    help = "Take clients' deals for one miner over libp2p (boost's protocols)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the options."""
        parser.add_argument("miner", help="address of the miner, such as f01000")
        parser.add_argument("--listen", type=ip_port, default=("0.0.0.0", 24001), help="IP:PORT")  # noqa: S104
        parser.add_argument("--key", required=True, help="file with the peer's key; made if it is not there")
        parser.add_argument("--host", default=socket.gethostname()[:100], help="name of this machine")
        parser.add_argument(
            "--announce",
            action="append",
            default=[],
            help="multiaddress of it for clients, repeatable",
        )
        parser.add_argument(
            "--http", action="append", default=[], help="multiaddress of the console's HTTP, for retrieval"
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        """Serve until it is stopped."""
        try:
            miner = miner_get(COMMAND, given["miner"])
            present = roles_of(miner).filter(host=given["host"], kind=RoleKind.DEAL)
            if not present.exclude(state=RoleState.REMOVED).exists():
                grant = RoleGrant(host=given["host"], kind=RoleKind.DEAL)
                host_role_assign(miner, grant=grant, principal=COMMAND, now=clock.now())
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        identity = identity_read(Path(given["key"]))
        http = tuple(multiaddr_encode(multiaddr_parse(multiaddress(one))) for one in given["http"])
        announced = tuple(multiaddress(one) for one in given["announce"])
        self.stdout.write(f"peer id {peer_id_text(identity.peer_id)}")
        with suppress(KeyboardInterrupt):
            asyncio.run(self._run(miner, identity, announced, http, given))

    async def _run(
        self,
        miner: Miner,
        identity: Identity,
        announced: tuple[str, ...],
        http: tuple[bytes, ...],
        given: dict[str, Any],
    ) -> None:
        """Listen while the role is held; it is looked at every few seconds."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        streams = Streams(Door(miner.address or "", http_addresses=http))
        listener: Listener | None = None
        was_held: bool | None = None
        try:
            while not stop.is_set():
                is_held = await sync_to_async(role_renew)(miner, given["host"])
                if is_held and listener is None:
                    listener = Listener(identity, streams.protocols, agent=AGENT, announced=announced)
                    host, _ = given["listen"]
                    port = await listener.open(*given["listen"])
                    self.stdout.write(f"deals of {miner} on {host}:{port}")
                elif not is_held and listener is not None:
                    await listener.close()
                    listener = None
                if not is_held and was_held is not False:
                    self.stdout.write(f"{given['host']} does not hold the role Deal of {miner}: waiting")
                was_held = is_held
                with suppress(TimeoutError):
                    async with asyncio.timeout(RENEW_S):
                        await stop.wait()
        except OSError as error:
            raise CommandError(f"cannot listen: {error}") from None
        finally:
            if listener is not None:
                await listener.close()
            await asyncio.to_thread(streams.close)


def role_renew(miner: Miner, host: str) -> bool:
    """Prolong the role's lease; return whether this host holds it.  A database that is away ends nothing."""
    try:
        kinds, now = (RoleKind.DEAL,), clock.now()
        # Another miner's door on this host has to live by itself.
        host_roles_renew(miner.tenant_id, host=host, kinds=kinds, now=now, miner=miner)
        held = roles_of(miner).filter(host=host, kind=RoleKind.DEAL, state=RoleState.HELD)
        return held.exists()
    except DatabaseError:
        return False
    finally:
        close_old_connections()
