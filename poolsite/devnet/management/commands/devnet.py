"""`manage.py devnet`: run the devnet until it is stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from poolsite.devnet.clock import WallClock
from poolsite.devnet.genesis_config import BrokenChain
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import ALWAYS, OPTIMISTIC, Profile
from poolsite.devnet.replica import Replica, replica_open
from poolsite.devnet.service import Service
from poolsite.devnet.store import BadStore
from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.filecoin.amounts import BadAmount, fil_parse
from poolsite.filecoin.policy import UnknownNetwork

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from poolsite.filecoin.address import Address


SCALE_MAX: Final = 5.0
"""Provers and signers have to keep up."""


class Command(BaseCommand):
    """Runs one devnet on one file."""

    requires_system_checks = []
    """The devnet needs none of the site: it starts while pages are broken."""

    help = "Run the embedded devnet: a small Filecoin chain that speaks the lotus JSON-RPC."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--listen", default=os.environ.get("DEVNET_LISTEN", "127.0.0.1:1234"))
        parser.add_argument("--data", help="file of the chain; default var/devnet/chain.sqlite")
        parser.add_argument("--network", default=os.environ.get("POOLSITE_NETWORK", "demo"))
        parser.add_argument(
            "--fund",
            action="append",
            default=[],
            metavar="ADDR=FIL",
            help="give an account FIL at genesis; ignored once the chain exists",
        )
        parser.add_argument(
            "--verify-post",
            choices=(ALWAYS, OPTIMISTIC),
            default=ALWAYS,
            help="verify every WindowPoSt, or as real chains do; ignored once the chain exists",
        )
        parser.add_argument("--follow", metavar="URL", help="follow the devnet of another node")
        parser.add_argument(
            "--time-scale", type=float, default=1.0, help=f"chain seconds per second, up to {SCALE_MAX:g}"
        )
        parser.add_argument("--f3", action="store_true", help="lease votes in fast finality to miners")
        parser.add_argument("--time-offset", type=float, default=0.0, help="seconds ahead of the computer")

    def handle(self, *_args: Any, **options: Any) -> None:
        path = Path(options["data"] or Path(_var()) / "devnet" / "chain.sqlite")
        path.parent.mkdir(parents=True, exist_ok=True)
        host, port = _listen(options["listen"])
        if not 0 < options["time_scale"] <= SCALE_MAX:
            raise CommandError(f"--time-scale must be above 0 and at most {SCALE_MAX:g}")
        clock = WallClock(scale=options["time_scale"], offset=options["time_offset"])
        url = options["follow"]
        try:
            if url:
                node = replica_open(path, url, clock=clock)
            else:
                node = Devnet(
                    path,
                    network=options["network"],
                    clock=clock,
                    funds=_funds(options["fund"]),
                    profile=Profile(verify_post=options["verify_post"]),
                )
        except (BadStore, BrokenChain, UnknownNetwork, httpx.HTTPError) as error:
            raise CommandError(f"the devnet cannot start: {error}") from None
        if options["f3"]:
            node.finality_start()
        try:
            service = Service(node, host=host, port=port, mining="paused" if url else "auto")
        except OSError as error:
            node.close()
            raise CommandError(f"the devnet cannot listen on {host}:{port}: {error.strerror}") from None
        self.stdout.write(f"devnet {node.network.name} at height {node.head.height} listens on {service.url}")
        self.stdout.flush()
        with Replica(node, url) if url else contextlib.nullcontext():
            _run_until_stopped(service)
        node.close()


def _run_until_stopped(service: Service) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with service:
        stopped.wait()


def _var() -> str:
    return str(getattr(settings, "POOLSITE_VAR", None) or os.environ.get("POOLSITE_VAR", "var"))


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise CommandError(f"--listen must be host:port, not {text!r}")
    return host, int(port)


def _funds(texts: list[str]) -> dict[Address, int]:
    funds: dict[Address, int] = {}
    for text in texts:
        name, _, amount = text.partition("=")
        try:
            funds[address_parse(name)] = fil_parse(amount)
        except (BadAddress, BadAmount) as error:
            raise CommandError(f"--fund {text}: {error}") from None
    return funds
