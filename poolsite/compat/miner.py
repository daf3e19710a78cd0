"""venus-miner: which miners the pool makes blocks for, over sophon-miner's methods."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Final

from poolsite.compat.pool import pool_of
from poolsite.compat.verb import Refused, Verb, elsewhere

BLOCKS: Final = "the pool makes blocks itself, for every miner that mines: start it by `make up`"


def written(value: object) -> str:
    """Return JSON as the old program printed it."""
    return json.dumps(value, indent="\t")


def address_update(options: argparse.Namespace) -> str:
    """Show the miners that blocks are made for: the pool reads them at each round."""
    return written(pool_of(options).rpc("Filecoin.UpdateAddress", options.skip, options.limit))


def update_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `address update`."""
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--limit", type=int, default=0, help="0: all")


def address_list(options: argparse.Namespace) -> str:
    """List the miners."""
    return written(pool_of(options).rpc("Filecoin.ListAddress"))


def address_state(options: argparse.Namespace) -> str:
    """Show who mines, with the reasons of the last losses."""
    return written(pool_of(options).rpc("Filecoin.StatesForMining", options.miners))


def miners_options(parser: argparse.ArgumentParser) -> None:
    """Add the miners that a command is for."""
    parser.add_argument("miners", nargs="*", metavar="MINER")


def mining_set(options: argparse.Namespace, *, act: str) -> str:
    """Start or stop making blocks for miners; an empty list would do nothing, so it is refused."""
    if not options.miners:
        raise Refused(f"name the miners: venus-miner address {act} t01000")
    pool_of(options).rpc(f"Filecoin.{act.capitalize()}", options.miners)
    return f"{act} mining success."


VERBS: Final = (
    elsewhere("init", BLOCKS),
    elsewhere("run", BLOCKS),
    Verb("address update", "show the miners that blocks are made for", address_update, update_options),
    Verb("address list", "list the miners", address_list),
    Verb("address state", "show who mines, with the last losses", address_state, miners_options),
    Verb("address start", "make blocks for miners", partial(mining_set, act="start"), miners_options),
    Verb("address stop", "make no blocks for miners", partial(mining_set, act="stop"), miners_options),
)
