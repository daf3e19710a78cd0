"""A host joins a pool: its join token is exchanged for a token of its own, which stays in its folder."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import structlog

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from workers.config import HostConfig
from workers.config_mistakes import BadConfig
from workers.console.client import Console
from workers.console.lease_keeper import TokenRefused, retry_pause_s
from workers.console.refusals import ConsoleAway, ConsoleRefused, TokenNotAccepted
from workers.host_folder import TOKEN_FILE, size_note, size_noted, token_read

log = structlog.get_logger(__name__)

C = TypeVar("C", bound=HostConfig)

JOINED_FILE: Final = "joined"
"""In a worker's folder: digest of the join token that was exchanged, so that the same command starts it."""


def joined(config: C, *, stop: threading.Event) -> C:
    """Return the configuration with the host's own token, however long the console is away.

    The sector size is the pool's, where neither command nor file says one.  Raises TokenRefused, BadConfig.
    """
    if not config.join_token:
        return config
    digest = hashlib.sha256(config.join_token.encode()).hexdigest()
    mark = config.folder / JOINED_FILE
    if not mark.exists() or mark.read_text().strip() != digest:
        token, sector_bytes = _exchange(config, stop)
        secret_write(config.folder / TOKEN_FILE, token)
        size_note(config.folder, sector_bytes)
        secret_write(mark, digest)  # last: killed before it, the host asks again and gets another token
    size = config.sector_bytes if config.is_size_set else size_noted(config.folder)
    return replace(
        config, token=token_read(config.folder / TOKEN_FILE), sector_bytes=size or config.sector_bytes
    )


def size_learned(config: HostConfig, sector_bytes: int) -> bool:
    """Note the sector size that the console tells, for the next start.

    Return whether the host was started for another one.
    """
    if config.is_size_set or sector_bytes not in SECTOR_SIZES or sector_bytes == config.sector_bytes:
        return False
    size_note(config.folder, sector_bytes)
    log.info("sector_size_learned", sector_bytes=sector_bytes)
    return True


def _exchange(config: HostConfig, stop: threading.Event) -> tuple[str, int]:
    """Return what the console gives for the join token.  Raises TokenRefused, BadConfig."""
    console = Console(config.console, config.join_token)
    attempt = 0
    try:
        while not stop.is_set():
            try:
                answer = console.join(uid=config.uid, name=config.name)
            except (TokenNotAccepted, ConsoleRefused) as error:
                raise TokenRefused(
                    f"{config.console} does not accept this join token: {error.reason}. --join-token-file"
                    " needs one from Hosts, Join a host; --token-file takes one from the Tokens page"
                ) from None
            except ConsoleAway:
                stop.wait(retry_pause_s(attempt))
                attempt += 1
            else:
                log.info("joined", console=config.console, name=config.name)
                return answer
    finally:
        console.close()
    raise BadConfig("stopped before the console answered")


def secret_write(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
