"""Which pool a person's commands go to, and with whose token: kept in a private file of the person."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from poolsite.compat.pool import Pool, pool_of, url_read
from poolsite.private_files import private_write

if TYPE_CHECKING:
    import argparse


def login_path() -> Path:
    """Return where the login is kept: `POOLSITE_LOGIN`, else in the person's configuration."""
    return Path(os.environ.get("POOLSITE_LOGIN") or Path(click.get_app_dir("poolsite")) / "login.json")


def login_write(pool: Pool) -> Path:
    """Keep a pool's address and a token of it."""
    path = login_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    private_write(path, json.dumps({"url": pool.url, "token": pool.token}))
    return path


def login_forget() -> bool:
    """Remove the login; return whether there was one."""
    try:
        login_path().unlink()
    except FileNotFoundError:
        return False
    return True


def pool_found(options: argparse.Namespace) -> Pool:
    """Return the pool of the command line, of the environment, of the login, or of this checkout.

    The login's token goes to its own address alone.  Raises Refused.
    """
    env = os.environ
    has_token = options.pool_token_file or env.get("POOLSITE_TOKEN") or env.get("POOLSITE_TOKEN_FILE")
    place = options.pool or env.get("POOLSITE_URL", "")
    own = _login()
    if own is not None and not has_token and (not place or url_read(place) == own.url):
        return own
    return pool_of(options)


def _login() -> Pool | None:
    try:
        entry = json.loads(login_path().read_text())
        return Pool(url_read(entry["url"]), entry["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
