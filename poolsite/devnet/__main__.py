"""`python -m poolsite.devnet`: run the devnet until it is stopped.

It needs nothing of the site: it starts while pages are broken, and Django would be half of its memory.
"""

from __future__ import annotations

import contextlib
import logging.config
import os
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

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
from poolsite.settings.logs import logging_for

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


SCALE_MAX: Final = 5.0
"""Provers and signers have to keep up."""


class BadStart(Exception):
    """The devnet cannot start as it was asked to; the text says why."""


def argument_parser() -> ArgumentParser:
    """Return what reads the words of the command."""
    parser = ArgumentParser(
        prog="python -m poolsite.devnet",
        description="Run the embedded devnet: a small Filecoin chain that speaks the lotus JSON-RPC.",
    )
    parser.add_argument("--listen", default=os.environ.get("DEVNET_LISTEN") or "127.0.0.1:1234")
    parser.add_argument("--data", help="chain file; default: var/devnet/chain.sqlite")
    parser.add_argument("--network", default=os.environ.get("POOLSITE_NETWORK") or "demo")
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
        help="verify every WindowPoSt, or only as real chains do; ignored once the chain exists",
    )
    parser.add_argument("--follow", metavar="URL", help="follow the devnet of another node")
    parser.add_argument(
        "--time-scale", type=float, default=1.0, help=f"chain seconds per second, up to {SCALE_MAX:g}"
    )
    parser.add_argument("--f3", action="store_true", help="let miners lease votes in fast finality")
    parser.add_argument("--time-offset", type=float, default=0.0, help="seconds ahead of the system clock")
    return parser


def run(arguments: Sequence[str]) -> None:
    """Run one devnet on one file.  Raises BadStart."""
    options = argument_parser().parse_args(arguments)
    path = Path(options.data or Path(_var()) / "devnet" / "chain.sqlite")
    path.parent.mkdir(parents=True, exist_ok=True)
    host, port = _listen(options.listen)
    if not 0 < options.time_scale <= SCALE_MAX:
        raise BadStart(f"--time-scale must be above 0 and at most {SCALE_MAX:g}")
    clock = WallClock(scale=options.time_scale, offset=options.time_offset)
    url = options.follow
    try:
        if url:
            node = replica_open(path, url, clock=clock)
        else:
            node = Devnet(
                path,
                network=options.network,
                clock=clock,
                funds=_funds(options.fund),
                profile=Profile(verify_post=options.verify_post),
            )
    except (BadStore, BrokenChain, UnknownNetwork, httpx.HTTPError) as error:
        raise BadStart(f"the devnet cannot start: {error}") from None
    if options.f3:
        node.finality_start()
    try:
        service = Service(node, host=host, port=port, mining="paused" if url else "auto")
    except OSError as error:
        node.close()
        raise BadStart(f"the devnet cannot listen on {host}:{port}: {error.strerror}") from None
    sys.stdout.write(
        f"devnet {node.network.name} at height {node.head.height} is listening on {service.url}\n"
    )
    sys.stdout.flush()
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
    return os.environ.get("POOLSITE_VAR") or "var"


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise BadStart(f"--listen must be host:port, not {text!r}")
    return host, int(port)


def _funds(texts: list[str]) -> dict[Address, int]:
    funds: dict[Address, int] = {}
    for text in texts:
        name, _, amount = text.partition("=")
        try:
            funds[address_parse(name)] = fil_parse(amount)
        except (BadAddress, BadAmount) as error:
            raise BadStart(f"--fund {text}: {error}") from None
    return funds


def main() -> int:
    """Run until a signal; 1 with a sentence if it cannot start."""
    level = (os.environ.get("LOG_LEVEL") or "INFO").upper()
    logging.config.dictConfig(logging_for(level=level, process="devnet"))
    try:
        run(sys.argv[1:])
    except BadStart as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
