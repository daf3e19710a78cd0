"""The node's own keys: the built-in miner's, and those that developers import."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from poolsite.filecoin.keys import key_address, key_export, key_import

if TYPE_CHECKING:
    from poolsite.devnet.store import Store
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.keys import KeyInfo


class NoKey(LookupError):
    """An address whose key the node does not have."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"key not found for {address}")


class Wallet:
    """Keys by address; kept in the chain's file, which is a developer's toy."""

    def __init__(self, store: Store, first: KeyInfo) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._keys: dict[Address, KeyInfo] = {key_address(first): first}
        self.default = key_address(first)
        for text in (store.meta("wallet") or b"").decode().split():
            info = key_import(text)
            self._keys[key_address(info)] = info

    def addresses(self) -> list[Address]:
        """All addresses."""
        return sorted(self._keys, key=str)

    def has(self, address: Address) -> bool:
        """Return whether the key is here."""
        return address in self._keys

    def key(self, address: Address) -> KeyInfo:
        """Return the key.  Raises NoKey."""
        info = self._keys.get(address)
        if info is None:
            raise NoKey(address)
        return info

    def add(self, info: KeyInfo) -> Address:
        """Keep a key."""
        with self._lock:
            address = key_address(info)
            self._keys[address] = info
            text = " ".join(key_export(key) for key in list(self._keys.values())[1:])
            self._store.metas_put({"wallet": text.encode()})
            return address

    def delete(self, address: Address) -> None:
        """Forget a key.  Raises NoKey."""
        with self._lock:
            if self._keys.pop(address, None) is None:
                raise NoKey(address)
            texts = [key_export(key) for name, key in self._keys.items() if name != self.default]
            self._store.metas_put({"wallet": " ".join(texts).encode()})
