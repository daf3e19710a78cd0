"""venus-messager: the wallets that the pool connects to."""

from __future__ import annotations

import argparse
import json
from typing import Final

from poolsite.compat.pool import SECURE, pool_of
from poolsite.compat.verb import Verb, elsewhere, secret_read


def wallet_add(options: argparse.Namespace) -> str:
    """Add a wallet that the pool connects to."""
    # Its address may have the token in front, as `auth api-info` prints it.
    before, colon, _ = options.url.partition(":")
    token, has_own = "", bool(colon) and "/" not in before and before not in SECURE
    if options.token or options.token_file or not has_own:
        token = secret_read(options.token, options.token_file, prompt="Token of the wallet: ")
    body = {"name": options.name, "url": options.url, "token": token}
    made = pool_of(options).post("/api/v1/remote-wallets", body)
    return str(made["uuid"])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `wallet add`."""
    parser.add_argument("--name", required=True)
    parser.add_argument("--url", required=True, help="URL or multiaddress of the wallet's API")
    parser.add_argument(
        "--token", default="", help="its token, which everybody on this machine sees meanwhile: use a file"
    )
    parser.add_argument(
        "--token-file", default="", help="file with its token; without either it is asked for"
    )


def wallet_list(options: argparse.Namespace) -> str:
    """List the wallets that the pool connects to; no token is shown."""
    rows = pool_of(options).get("/api/v1/remote-wallets")
    return json.dumps(
        [
            {
                "ID": row["uuid"],
                "Name": row["name"],
                "Url": row["url"],
                "Addresses": row["keys"],
                "State": "Alive" if row["is_enabled"] and not row["error"] else "Stopped",
                "Error": row["error"],
            }
            for row in rows
        ],
        indent="\t",
    )


VERBS: Final = (
    elsewhere("run", "the pool's messager runs with it: start the pool by `make up`"),
    Verb("wallet add", "add a wallet that the pool connects to", wallet_add, add_options),
    Verb("wallet list", "list the wallets that the pool connects to", wallet_list),
)
