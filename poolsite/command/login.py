"""The pool that commands go to, and the person's token: kept in a private file of the person."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import click

from poolsite.compat.pool import Pool, clear_warn, pool_of, url_read
from poolsite.compat.verb import Refused
from poolsite.private_files import private_write


def login_path() -> Path:
    """Return the file of the login: `POOLSITE_LOGIN`, else one in the person's configuration."""
    return Path(os.environ.get("POOLSITE_LOGIN") or Path(click.get_app_dir("poolsite")) / "login.json")


def login_write(pool: Pool) -> Path:
    """Keep a pool's address and a token of it.  Raises Refused."""
    path = login_path()
    try:
        private_write(path, json.dumps({"url": pool.url, "token": pool.token}))
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from None
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

    The login's token goes to its own address alone; another token, of which no address is said, goes there
    too.  Raises Refused.
    """
    env = os.environ
    has_token = options.pool_token_file or env.get("POOLSITE_TOKEN") or env.get("POOLSITE_TOKEN_FILE")
    place = options.pool or env.get("POOLSITE_URL", "")
    own = _login()
    if own is None or (place and url_read(place) != own.url):
        return pool_of(options)
    if has_token:
        return pool_of(options, url="" if place else own.url)
    clear_warn(own.url)
    return own


def _login() -> Pool | None:
    """Return what is kept; None if nothing is.

    Raises Refused for what cannot be read: another pool is not what was meant.
    """
    path = login_path()
    try:
        entry = json.loads(path.read_text())
        return Pool(url_read(entry["url"]), entry["token"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = getattr(error, "strerror", None) or "it is no login"
        raise Refused(f"{path} cannot be read ({why}): run poolsite login again") from None
