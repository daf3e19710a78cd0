"""`make console`: add this machine to a running pool with a one-use token, and run the console here.

It fetches what all consoles share, tries it, and only then writes it down: killed before, the same command
goes on.  Once it has joined, the same command starts it.  Run: python -m poolsite.embedded.console --join URL
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from getpass import getpass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import django
import httpx
import psycopg2
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.utils.module_loading import import_string

from poolsite.console_folder import SHARED, ConsoleFolder, console_id
from poolsite.embedded.errors import BadFolder, JoinRefused, StartupError
from poolsite.embedded.folders import passable_create
from poolsite.embedded.own_folder import console_folder
from poolsite.embedded.ownership import owned
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.preflight import preflight
from poolsite.private_files import private_write
from poolsite.settings.environment import machine_name
from poolsite.wire.hosts import VERSION

ANSWER_S: Final = 30.0
TOKEN_VARIABLE: Final = "JOIN_TOKEN"  # noqa: S105  # its name
OWN_POOL: Final = ("pg", "operator.json", "signer.json")
"""What is in the folder of a machine on which a pool began."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a console of the pool tells a machine that joins."""

    secret_key: str
    folder: ConsoleFolder

    @classmethod
    def of_json(cls, body: Any) -> Answer:
        """Read it; settings that are not known here are left out.  Raises JoinRefused."""
        try:
            settings = {name: str(body["settings"][name]) for name in SHARED if name in body["settings"]}
            folder = ConsoleFolder(pool=str(body["pool"]), is_joined=True, settings=settings)
            secret_key, version = str(body["secret_key"]), str(body["version"])
        except (KeyError, TypeError):
            raise JoinRefused("JOIN: the answer is not that of a pool's console") from None
        if version != VERSION:
            raise JoinRefused(f"version: the pool runs {version}, this checkout is {VERSION}")
        missing = [name for name in ("DATABASE_URL", "REDIS_URL", "CHAIN_URLS") if not settings.get(name)]
        if missing or not secret_key:
            raise JoinRefused(f"{(*missing, 'SECRET_KEY')[0]}: the pool's console did not tell it")
        return cls(secret_key, folder)


def console_url(text: str) -> str:
    """Read where the pool's console answers.  Raises JoinRefused."""
    parts = urlsplit(text.rstrip("/"))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
        raise JoinRefused(f"JOIN: {text!r} is no address of a console: use https://host or https://host:port")
    return f"{parts.scheme}://{parts.netloc}"


def is_overheard(url: str) -> bool:
    """Return whether others could read on the way what is sent there."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return False
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def token_read(file: Path | None) -> str:
    """Return the join token out of a file, the environment or what is typed; never of the command line.

    Raises JoinRefused.
    """
    if file is not None:
        try:
            token = file.read_text().strip()
        except (OSError, ValueError) as error:
            raise JoinRefused(f"JOIN_TOKEN_FILE: {file} cannot be read: {error}") from None
        if not token:
            raise JoinRefused(f"JOIN_TOKEN_FILE: {file} is empty")
        return token
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token and sys.stdin.isatty():
        token = getpass("Join token (page Consoles, Add a console): ").strip()
    if not token:
        raise JoinRefused("JOIN_TOKEN_FILE: no join token; create one on page Consoles, Add a console")
    return token


def settings_fetch(url: str, token: str, *, folder: str, machine: str) -> Answer:
    """Exchange the join token for what the consoles share.  Raises JoinRefused."""
    body = {"folder": folder, "machine": machine, "version": VERSION}
    try:
        answer = httpx.post(
            f"{url}/api/v1/consoles:join",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=ANSWER_S,
        )
    except (httpx.HTTPError, ValueError) as error:  # ValueError: a token that no header may have
        raise JoinRefused(f"JOIN: {url} does not answer: {error}") from None
    try:
        found = answer.json()
    except ValueError:
        found = None
    if answer.status_code == 201:
        return Answer.of_json(found)
    if not isinstance(found, dict) or "message" not in found:
        raise JoinRefused(f"JOIN: {url} answers {answer.status_code}, not as a pool's console")
    field = f"{found.get('field')}: " if found.get("field") else ""
    raise JoinRefused(f"{field}{found['message']}")


def own_pool_refuse(paths: PoolPaths) -> None:
    """Refuse a folder in which a pool began.  Raises BadFolder."""
    for name in OWN_POOL:
        if (paths.var / name).exists():
            raise BadFolder(f"{paths.var} has a pool of its own ({name}): choose another POOLSITE_VAR")


def settings_try(folder: ConsoleFolder) -> None:
    """Compare database, version, key and Redis as this machine reaches them.  Raises JoinRefused."""
    folder.environment_set()
    os.environ["DJANGO_SETTINGS_MODULE"] = "poolsite.settings.embedded"
    os.environ["LOG_LEVEL"] = "ERROR"
    try:
        django.setup()
        import_string("poolsite.embedded.joined.redis_require_answer")()
        import_string("poolsite.embedded.joined.joined_require")(folder.pool, run=lambda act: act())
        import_string("poolsite.embedded.joined.folders_compare")()
        import_string("poolsite.embedded.joined.nodes_report")()
    except (OperationalError, InterfaceError, psycopg2.Error) as error:
        reason = " ".join(str(error).split())
        raise JoinRefused(f"DATABASE_URL: not reached from this machine: {reason}") from None
    except ImproperlyConfigured as error:
        raise JoinRefused(str(error)) from None


def join(paths: PoolPaths, *, url: str, token_file: Path | None) -> None:
    """Add this machine to the pool.  Raises StartupError; the folder is one that has not joined then."""
    url = console_url(url)
    if is_overheard(url):
        sys.stderr.write(
            f"Warning: {url} is not HTTPS: token, session key and the servers' passwords cross the network "
            "in clear text.\n"
        )
    own_pool_refuse(paths)
    preflight(paths, None)
    token = token_read(token_file)
    passable_create(paths.var)
    with owned(paths.var, patience_s=5.0):
        answer = settings_fetch(url, token, folder=console_id(paths.var), machine=machine_name())
        private_write(paths.secret, answer.secret_key)
        settings_try(answer.folder)
        answer.folder.write(paths.var)


def main(argv: Sequence[str] | None = None) -> int:
    """Join unless that was done, then become the console; 1 with one sentence if it was refused."""
    parser = argparse.ArgumentParser(prog="make console", description="Run a console machine of a pool.")
    parser.add_argument("--join", default="", metavar="URL", help="address of the pool's console")
    parser.add_argument("--join-token-file", type=Path, help="its join token; default: JOIN_TOKEN, or asked")
    options = parser.parse_args(argv)
    paths = PoolPaths.of_environment()
    try:
        folder = console_folder(paths)
        if folder is None or not folder.is_joined:
            if not options.join:
                raise JoinRefused("JOIN: missing; it is the address of the pool's console (page Consoles)")
            environment = dict(os.environ)
            join(paths, url=options.join, token_file=options.join_token_file)
            os.environ.clear()
            os.environ.update(environment)
            sys.stderr.write(f"This machine has joined the pool as {machine_name()}.\n")
    except StartupError as refusal:
        sys.stderr.write(f"The console was not started: {refusal}.\n")
        return 1
    os.environ.pop(TOKEN_VARIABLE, None)
    return os.execv(sys.executable, [sys.executable, "-m", "poolsite.embedded"])  # noqa: S606  # ourselves


if __name__ == "__main__":
    sys.exit(main())
