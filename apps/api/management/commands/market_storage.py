"""`manage.py market_storage`: be the storage of our miners at somebody else's gateway, until Ctrl-C."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.api.management.caller import COMMAND
from apps.api.market_storage import MarketStorage
from apps.chain.node.addresses import node_address
from apps.core.errors import DomainError
from apps.miners.selectors.miners import miner_get, miners_active


class Command(BaseCommand):
    """Dials for ever; a restart loses nothing, as the market asks again."""

    help = "Serve unsealed pieces of the pool's miners to a market behind another gateway."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Read the token from a file, too: there it stands in no list of processes."""
        parser.add_argument("gateway", help="wss://host:45132, /ip4/…/tcp/45132 or TOKEN:/ip4/…")
        parser.add_argument("--token-file", help="file that contains the gateway's token")
        parser.add_argument(
            "--miner", action="append", default=[], help="f0 address, repeatable; default: all miners"
        )

    def handle(self, *_args: Any, **given: Any) -> None:
        """Serve until it is stopped."""
        try:
            address = node_address(given["gateway"])
            miners = [miner_get(COMMAND, one) for one in given["miner"]] or list(miners_active())
        except DomainError as error:
            raise CommandError(error.reason) from None
        if given["token_file"]:
            try:
                token = Path(given["token_file"]).read_text().strip()
            except OSError as error:
                raise CommandError(f"{given['token_file']}: {error.strerror}") from None
            address = type(address)(http_url=address.http_url, ws_url=address.ws_url, token=token)
        if not miners:
            raise CommandError("the pool has no miner yet")
        addresses = [one.address for one in miners]
        self.stdout.write(f"{', '.join(addresses)} at {address.http_url}; press Ctrl-C to stop")
        with suppress(KeyboardInterrupt):
            asyncio.run(MarketStorage(address, addresses).run())
