"""The verb `init`: a new folder with its password, first keys, policy and tokens."""

from __future__ import annotations

import argparse
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.keys import KEY_BLS, KEY_SECP256K1, key_generate
from poolsite.private_files import private_folder, private_write
from workers.signer.changes import policy_set
from workers.signer.default_policy import DEFAULT
from workers.signer.signer_folder import password_path, password_read
from workers.signer.signing import Signer
from workers.signer.tokens import secret_load, token_new

if TYPE_CHECKING:
    from workers.signer.keystore import KeyStore

FIRST_KEYS: Final = (("owner", KEY_BLS), ("worker", KEY_BLS), ("control", KEY_SECP256K1))
"""Keys of a new pool: a miner's owner and worker, and the address that pays for proofs."""


def init(options: argparse.Namespace) -> str:
    """Create folder, password, key store, first keys, policy and tokens; existing ones are kept."""
    folder: Path = options.dir
    private_folder(folder)
    own_password, addresses_path = folder / "password", folder / "addresses.json"
    is_named = password_path(options) != own_password
    if not is_named and not own_password.exists() and not (folder / "keystore.json").exists():
        private_write(own_password, secrets.token_urlsafe(32) + "\n")
    if not (folder / "policy.toml").exists():
        policy_set(folder, DEFAULT, by="init")
    signer = Signer(folder)
    try:
        signer.store.content()  # a damaged one ends it here, before the signer runs
        if not signer.store.is_set or not addresses_path.exists():  # else a key deleted since stays so
            open_or_set(signer.store, password_read(options))
            private_write(addresses_path, json.dumps(first_keys_add(signer.store)) + "\n")
    finally:
        signer.close()
    secret = secret_load(folder)
    if not (folder / "token").exists():
        private_write(folder / "token", token_new(secret, "admin") + "\n")
    return addresses_path.read_text().strip()


def open_or_set(store: KeyStore, password: str) -> None:
    """Unlock the store, or make it under this password.  Raises WrongPassword."""
    if store.is_set:
        store.unlock(password)
    else:
        store.password_set(password)


def first_keys_add(store: KeyStore) -> dict[str, str]:
    """Make those of the first keys that are missing; return the addresses of all by their labels."""
    for label, key_type in FIRST_KEYS:
        if label not in {entry.label for entry in store.entries()}:
            store.add(key_generate(key_type), label=label)
    addresses = {entry.label: entry.address for entry in store.entries()}
    return {label: addresses[label] for label, _ in FIRST_KEYS}
