"""`manage.py deal_door`: serve market 1.2 over libp2p, for all miners that have a door, or for one."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.api.management.caller import COMMAND
from apps.api.management.commands.runrole import ip_port
from apps.api.mk12.doors import ANYWHERE, DoorPlan, Doors
from apps.api.mk12.peer_keys import BadPeerKey, identity_read, keys_folder
from apps.core.errors import DomainError
from apps.core.process_leases import LEADER_PACE, lease_keep
from apps.market.selectors.deals import market_of
from apps.miners.selectors.miners import miner_get
from poolsite.filecoin.multiaddr import BadMultiaddr, multiaddr_encode, multiaddr_parse
from poolsite.tracing import tracing_start


def multiaddress(text: str) -> str:
    """Read a multiaddress.  Raises CommandError."""
    try:
        multiaddr_parse(text)
    except BadMultiaddr as error:
        raise CommandError(str(error)) from None
    return text


class Command(BaseCommand):
    """Serve until SIGTERM; of several processes one serves a miner, the others stand by."""

    help = "Take clients' deals over libp2p (boost's protocols): of all miners with a door, or of one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the options; those of one door need its miner."""
        parser.add_argument("miner", nargs="?", default="", help="address of the miner, such as f01000")
        parser.add_argument("--listen", type=ip_port, help="IP:PORT; default: the port of its page Market")
        parser.add_argument("--key", help="file with the peer's key; made if it is not there")
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
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        tracing_start(settings.PROCESS_NAME)
        doors = Doors(host=given["host"])
        if given["miner"]:
            doors.plan, doors.say = self._plan(given), self.stdout.write
        elif given["listen"] or given["key"] or given["announce"] or given["http"]:
            raise CommandError("--listen, --key, --announce and --http are of one door: name its miner")
        lease_keep(LEADER_PACE, turns=doors.turns, ability=doors.ability)
        asyncio.run(doors.run(asked_to_stop=stop.is_set))

    def _plan(self, given: dict[str, Any]) -> DoorPlan:
        """Return the door of one miner.  Raises CommandError."""
        try:
            miner = miner_get(COMMAND, given["miner"])
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        key = Path(given["key"]) if given["key"] else keys_folder() / f"{miner.address}.key"
        try:
            self.stdout.write(f"peer id {identity_read(key).text}")
        except BadPeerKey as bad:
            raise CommandError(bad.reason) from None
        address, port = given["listen"] or (ANYWHERE, market_of(miner).libp2p_port)
        return DoorPlan(
            miner,
            address,
            port,
            key,
            makes_key=True,
            announced=tuple(multiaddress(one) for one in given["announce"]),
            http=tuple(multiaddr_encode(multiaddr_parse(multiaddress(one))) for one in given["http"]),
        )
