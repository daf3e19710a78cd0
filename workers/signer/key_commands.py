"""The verbs of keys: `new`, `list`, `export`, `import`, `delete`, `restore`, `password`, and their like."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from poolsite.filecoin.keys import key_export, key_generate, key_import
from poolsite.private_files import private_write
from workers.signer.errors import SignerError
from workers.signer.legacy_import import keys_read, keys_write
from workers.signer.signer_folder import existing, opened, password_read
from workers.signer.signing import Signer


def new(options: argparse.Namespace) -> str:
    """Create a key."""
    return opened(options).store.add(key_generate(options.type), label=options.label)


def list_keys(options: argparse.Namespace) -> str:
    """List the keys; needs no password."""
    entries = Signer(existing(options.dir)).store.entries()
    return "\n".join(f"{entry.address} {entry.type} {entry.label}".rstrip() for entry in entries)


def export(options: argparse.Namespace) -> str:
    """Return a key in the form of `lotus wallet export`."""
    return key_export(opened(options).store.key(options.address))


def import_key(options: argparse.Namespace) -> str:
    """Import a key file."""
    text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(errors="replace")
    info = key_import(text, raw_type=options.type)
    return f"imported key {opened(options).store.add(info)} successfully!"


def wallet_password(options: argparse.Namespace) -> str:
    """Find the old wallet's password."""
    if options.wallet_password_file is not None:
        return str(options.wallet_password_file.read_text()).strip()
    return getpass.getpass("Password of the wallet's file: ")


def import_wallet(options: argparse.Namespace) -> str:
    """Import every key of a venus-wallet key store."""
    signer = opened(options)
    keys = keys_read(options.file, wallet_password(options))
    return "\n".join(f"imported key {signer.store.add(info)} successfully!" for info in keys)


def export_wallet(options: argparse.Namespace) -> str:
    """Write a key store that venus-wallet can open."""
    store = opened(options).store
    keys = [store.key(entry.address) for entry in store.entries()]
    return f"{keys_write(options.file, keys, wallet_password(options))} keys written to {options.file}"


def delete(options: argparse.Namespace) -> str:
    """Delete a key; it can be restored for a while."""
    opened(options).store.delete(options.address)
    return "success"


def restore(options: argparse.Namespace) -> str:
    """Restore a deleted key."""
    opened(options).store.restore(options.address)
    return "success"


def password_typed() -> str:
    """Read a new password, typed twice: a slip would cost every key.  Raises SignerError."""
    fresh = getpass.getpass("New password: ")
    if fresh != fresh.strip():
        raise SignerError("a password must not begin or end with a space: its file would lose it")
    if getpass.getpass("New password again: ") != fresh:
        raise SignerError("these are not the same: nothing was changed")
    return fresh


def password(options: argparse.Namespace) -> str:
    """Change the password, and the folder's password file if it has one."""
    store, old = Signer(existing(options.dir)).store, password_read(options)
    store.unlock(old)
    fresh = password_typed() if sys.stdin.isatty() else sys.stdin.readline().strip()
    path: Path = options.dir / "password"
    store.password_change(old, fresh)
    if not path.exists():
        return "Password set successfully\nA running signer is locked now: unlock or restart it"
    private_write(path, fresh + "\n")
    return (
        f"Password set successfully\nA signer that was started with {path} goes on; unlock or restart others"
    )
