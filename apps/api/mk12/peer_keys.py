"""Peers' keys: private files on the machine that serves a door, in no database and no backup.

Beside them are the doors' sockets.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from django.conf import settings

from apps.core.reasons import Reason
from apps.market.reasons import DOOR_KEY_BAD, DOOR_KEY_READABLE
from poolsite.libp2p.identity import Identity
from poolsite.private_files import locked, private_folder, private_write

SEED_BYTES: Final = 32


class BadPeerKey(Exception):
    """A file that cannot be used as a peer's key."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def keys_folder() -> Path:
    """Return where this machine keeps its peers' keys unless told otherwise."""
    return Path(settings.VAR) / "peers"


def door_socket_path(miner: str) -> Path:
    """Return the socket on which a door takes what web processes of its machine pass on."""
    return keys_folder() / f"{miner}.sock"


def identity_read(path: Path) -> Identity:
    """Return the peer's key of a private file, which is made if it is not there.  Raises BadPeerKey."""
    try:
        private_folder(path.parent)
        with locked(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                private_write(path, secrets.token_bytes(SEED_BYTES).hex())
            if path.stat().st_mode & 0o077:
                raise BadPeerKey(DOOR_KEY_READABLE(file=str(path)))
            return Identity.of_seed(bytes.fromhex(path.read_text().strip()))
    except (OSError, ValueError) as error:
        raise BadPeerKey(DOOR_KEY_BAD(file=str(path), error=str(error))) from None
