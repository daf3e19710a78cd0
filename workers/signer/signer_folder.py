"""A signer's folder as the command line finds and unlocks it."""

from __future__ import annotations

import argparse
import getpass
from pathlib import Path

from workers.signer.errors import SignerError
from workers.signer.signing import Signer


def password_path(options: argparse.Namespace) -> Path:
    """Return the file that was named, or the folder's own."""
    path: Path = options.password_file or options.dir / "password"
    return path


def password_read(options: argparse.Namespace) -> str:
    """Find the password: in its file, or the person.  Never an argument."""
    path = password_path(options)
    if path.exists():
        return path.read_text().strip()
    if options.password_file is not None:
        raise SignerError(f"password file {path} does not exist")
    try:
        return getpass.getpass("Password: ")
    except EOFError:
        raise SignerError(f"no password: put it into {path}, or pass --password-file") from None


def opened(options: argparse.Namespace) -> Signer:
    """Open and unlock the folder."""
    signer = Signer(existing(options.dir))
    signer.store.unlock(password_read(options))
    return signer


def existing(folder: Path) -> Path:
    """Return the folder.  Raises SignerError if there is no signer."""
    if not (folder / "keystore.json").exists():
        raise SignerError(
            f"there is no signer in {folder}: run `python -m workers signer init --dir {folder}`"
        )
    return folder
