"""venus-auth: tokens of programs and users with their miners, over sophon-auth's interface."""

from __future__ import annotations

import argparse
from typing import Final

from poolsite.compat.pool import Pool, pool_of
from poolsite.compat.verb import Refused, Verb, elsewhere

PERMS: Final = ("read", "write", "sign", "admin")
SOURCE_MINER: Final = 1
"""The old `sourceType` of a user with a miner; others had none."""


def user_ensure(pool: Pool, name: str, *, comment: str = "") -> str:
    """Create a user if there is none of this name; return its id.  Raises Refused."""
    if not pool.get("/user/has", name=name):
        pool.call("PUT", "/user/new", json={"Name": name, "Comment": comment, "State": 1})
    return str(pool.get("/user", name=name)["id"])


def token_generate(options: argparse.Namespace) -> str:
    """Create a token for a program's name, and the user of that name: the old program needed none."""
    pool = pool_of(options)
    user_ensure(pool, options.name)
    made = pool.post("/genToken", {"Name": options.name, "Perm": options.perm, "Extra": options.extra})
    return f"generate token success: {made['token']}"


def token_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of genToken."""
    parser.add_argument("name", help="the program's name, such as miner, messager, sealer")
    parser.add_argument("--perm", required=True, choices=PERMS)
    parser.add_argument("--extra", default="", help="text that is kept with the token")


def user_add(options: argparse.Namespace) -> str:
    """Create a user with its miner; one that exists gets the miner.

    A miner of another user stays there: moving it would take its sectors from whoever has it.
    """
    pool = pool_of(options)
    if options.miner:
        if options.source_type != SOURCE_MINER:
            raise Refused(
                f"a user with a miner has the source type {SOURCE_MINER}, not {options.source_type}"
            )
        _require_free(pool, options.miner, of=options.name)
    user = user_ensure(pool, options.name, comment=options.comment)
    if options.miner:
        pool.post("/user/miner/add", {"User": options.name, "Miner": options.miner, "OpenMining": True})
    return f"add user success: {user}"


def _require_free(pool: Pool, miner: str, *, of: str) -> None:
    if pool.get("/miner/has-miner", miner=miner):
        owner = pool.get("/user/miner", miner=miner)["name"]
        if owner != of:
            raise Refused(
                f"{miner} belongs to the user {owner}: move it on its page, or take it from there first"
            )


def user_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of addUser."""
    parser.add_argument("--name", required=True)
    parser.add_argument("--miner", default="", metavar="ADDRESS", help="the user's miner")
    parser.add_argument(
        "--srouceType",
        "--sourceType",
        dest="source_type",
        type=int,
        default=SOURCE_MINER,
        metavar="N",
        help="1: a user with a miner",
    )
    parser.add_argument("--comment", default="")


VERBS: Final = (
    elsewhere("", "the pool serves tokens and users itself: start it by `make up`"),
    elsewhere("run", "the pool serves tokens and users itself: start it by `make up`"),
    Verb("genToken", "create a token for a program's name", token_generate, token_options),
    Verb("addUser", "create a user with its miner", user_add, user_options),
)
