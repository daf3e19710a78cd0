"""The key store's password over the wallet JSON-RPC: set, unlocked by, locked, verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.signer.errors import Locked, SignerError, WrongPassword

if TYPE_CHECKING:
    from workers.signer.callers import Caller

    pass


def set_password(caller: Caller, password: str) -> None:
    """Choose the password of an empty store; with one that was chosen before, unlock."""
    store = caller.signer.store
    if store.is_set and not store.is_locked:
        raise SignerError("the password already exists")
    if not store.is_set:
        store.password_set(password)
        return
    try:
        store.unlock(password)
    except WrongPassword:
        raise SignerError("could not decrypt key with given password") from None


def unlock(caller: Caller, password: str) -> None:
    """Make the keys usable."""
    store = caller.signer.store
    if store.is_set and not store.is_locked:
        raise SignerError("wallet already unlocked")
    set_password(caller, password)


def lock(caller: Caller, password: str) -> None:
    """Make the keys unusable."""
    store = caller.signer.store
    if not store.is_set:
        raise Locked("password not set")
    if store.is_locked:
        raise SignerError("wallet already locked")
    store.password_check(password)
    store.lock()


def lock_state(caller: Caller) -> bool:
    """Return whether it is locked."""
    return caller.signer.store.is_locked


def verify_password(caller: Caller, password: str) -> None:
    """Check a password against the store."""
    if not caller.signer.store.is_set:
        raise Locked("password not set")
    caller.signer.store.password_check(password)
