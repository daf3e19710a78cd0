"""The signer's keys: one file, every key encrypted on its own, addresses in clear.

The file is replaced as a whole, so that a kill during any change leaves the state before or after it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog

from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.filecoin.keys import KeyInfo, key_address
from poolsite.private_files import locked, private_folder, private_write
from workers.signer.encryption import Ciphertext, Cost, ciphertext_from_json, decrypt, encrypt
from workers.signer.errors import DamagedStore, KeyMissing, Locked, SignerError, WrongPassword

log = structlog.get_logger(__name__)

VERSION: Final = 1
CHECK: Final = "check"
"""Owner of the box that tells a right password from a wrong one in a store without keys."""
GRACE: Final = timedelta(days=30)
"""How long a deleted key can be brought back."""
FILE_DELAY_S: Final = 0.5
"""The command `password` writes the password's file just after the store, with a sync of the disk between."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it lies in the file."""

    address: str
    type: str
    label: str
    box: Ciphertext
    created_at: str
    deleted_at: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "address": self.address,
            "type": self.type,
            "label": self.label,
            "created_at": self.created_at,
            "deleted_at": self.deleted_at,
            "box": self.box.to_json(),
        }


@dataclass(slots=True)
class Content:
    """The whole file."""

    check: Ciphertext
    entries: dict[str, Entry] = field(default_factory=dict)
    """By address, in the order of their making."""

    def to_text(self) -> str:
        """Write it."""
        keys = [entry.to_json() for entry in self.entries.values()]
        return json.dumps({"version": VERSION, "check": self.check.to_json(), "keys": keys}, indent=1) + "\n"


class KeyStore:
    """The file and, while unlocked, the password and the keys used so far."""

    def __init__(self, folder: Path, *, cost: Cost | None = None) -> None:
        self.path = folder / "keystore.json"
        self.lock_path = folder / "keystore.lock"
        self.cost = cost or Cost()
        self.password: str | None = None
        self.password_path: Path | None = None
        """File to reread when another process changed the password; None: the store is locked then."""
        self._open_keys: dict[str, KeyInfo] = {}
        self._content: Content | None = None
        self._stamp: tuple[int, int] = (0, 0)

    @property
    def is_set(self) -> bool:
        """Return whether there is a store, i.e. a password was chosen."""
        return self.path.exists()

    @property
    def is_locked(self) -> bool:
        """Return whether keys cannot be used now."""
        return self.password is None

    def entries(self) -> list[Entry]:
        """Return the keys that are not deleted; needs no password."""
        return [entry for entry in self.content().entries.values() if entry.deleted_at is None]

    def has(self, address: str) -> bool:
        """Return whether there is such a key."""
        entry = self.content().entries.get(canonical(address))
        return entry is not None and entry.deleted_at is None

    def password_set(self, password: str) -> None:
        """Make the store under this password, and unlock it.  Raises SignerError if there is one."""
        if not password:
            raise SignerError("the password must not be empty")
        private_folder(self.path.parent)
        with locked(self.lock_path):
            if self.is_set:
                raise SignerError("the password already exists")
            content = Content(encrypt(CHECK.encode(), password=password, owner=CHECK, cost=self.cost))
            self._write(content)
        self.password = password

    def unlock(self, password: str) -> None:
        """Open the store.  Raises WrongPassword, Locked if there is no store yet."""
        if not self.is_set:
            raise Locked("password not set")
        self.password_check(password)
        self.password = password

    def password_check(self, password: str) -> None:
        """Check a password against the store.  Raises WrongPassword."""
        decrypt(self.content().check, password=password, owner=CHECK)

    def lock(self) -> None:
        """Forget the password and every opened key."""
        self.password = None
        self._open_keys.clear()

    def password_change(self, old: str, new: str) -> None:
        """Encrypt everything under another password, replacing the file once.  Raises WrongPassword."""
        if not new:
            raise SignerError("the password must not be empty")
        with locked(self.lock_path):
            content = self._read()
            decrypt(content.check, password=old, owner=CHECK)
            changed = Content(encrypt(CHECK.encode(), password=new, owner=CHECK, cost=self.cost))
            for address, entry in content.entries.items():
                secret = decrypt(entry.box, password=old, owner=owner_of(entry))
                box = encrypt(secret, password=new, owner=owner_of(entry), cost=self.cost)
                changed.entries[address] = _with(entry, box=box)
            self._write(changed)
        if self.password is not None:
            self.password = new

    def add(self, info: KeyInfo, *, label: str = "") -> str:
        """Add a key; return its address.  One that is there stays, a deleted one comes back."""
        address = str(key_address(info))
        with locked(self.lock_path):
            self.content()  # rereads a password that another process changed
            content = self._read()
            password = self._password(content)
            known = content.entries.get(address)
            if known is not None and known.deleted_at is None:
                return address
            now = datetime.now(UTC).isoformat()
            entry = Entry(address, info.type, label, _NO_CIPHERTEXT, now)
            box = encrypt(info.private_key, password=password, owner=owner_of(entry), cost=self.cost)
            content.entries[address] = _with(entry, box=box)
            self._write(content)
        self._open_keys[address] = info
        return address

    def delete(self, address: str) -> None:
        """Mark a key deleted; it can be restored for `GRACE`.  Raises KeyMissing."""
        self._mark(address, deleted_at=datetime.now(UTC).isoformat())
        self._open_keys.pop(canonical(address), None)

    def restore(self, address: str) -> None:
        """Bring a deleted key back.  Raises KeyMissing."""
        self._mark(address, deleted_at=None)

    def _mark(self, address: str, *, deleted_at: str | None) -> None:
        key = canonical(address)
        with locked(self.lock_path):
            content = self._read()
            entry = content.entries.get(key)
            if entry is None or (entry.deleted_at is None) == (deleted_at is None):
                raise KeyMissing
            content.entries[key] = _with(entry, deleted_at=deleted_at)
            limit = (datetime.now(UTC) - GRACE).isoformat()
            content.entries = {
                name: one
                for name, one in content.entries.items()
                if one.deleted_at is None or one.deleted_at > limit
            }
            self._write(content)

    def key(self, address: str) -> KeyInfo:
        """Return a private key.  Raises Locked, KeyMissing."""
        name = canonical(address)
        content = self.content()
        entry = content.entries.get(name)
        if entry is None or entry.deleted_at is not None:
            raise KeyMissing
        password = self._password(content)
        info = self._open_keys.get(name)
        if info is None:
            secret = decrypt(entry.box, password=password, owner=owner_of(entry))
            info = self._open_keys[name] = KeyInfo(entry.type, secret)
        return info

    def _password(self, content: Content) -> str:
        if self.password is None:
            raise Locked("wallet locked")
        if self._content is None or content.check != self._content.check:  # somebody else changed it
            decrypt(content.check, password=self.password, owner=CHECK)
        return self.password

    def content(self) -> Content:
        """Return the file's content, read again when another process replaced it."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return Content(_NO_CIPHERTEXT)
        stamp = (status.st_mtime_ns, status.st_ino)
        if self._content is None or stamp != self._stamp:
            content = self._read()
            if self.password is not None:
                try:
                    decrypt(content.check, password=self.password, owner=CHECK)
                except WrongPassword:
                    if not self._password_reread(content):
                        self.lock()
                        log.warning("locked", reason="the password was changed: unlock or restart the signer")
            self._content, self._stamp = content, stamp
        return self._content

    def _password_reread(self, content: Content) -> bool:
        """Return whether the password file opens this content; if so, use its password."""
        if self.password_path is None:
            return False
        for pause_s in (0.0, FILE_DELAY_S):
            time.sleep(pause_s)
            try:
                password = self.password_path.read_text().strip()
                decrypt(content.check, password=password, owner=CHECK)
            except (OSError, ValueError, WrongPassword):
                continue  # whoever changes both writes the key store first
            self.password = password
            return True
        return False

    def _read(self) -> Content:
        try:
            value = json.loads(self.path.read_text())
            if value["version"] != VERSION:
                raise DamagedStore(
                    f"the key store has version {value['version']}, this program supports {VERSION}"
                )
            content = Content(ciphertext_from_json(value["check"]))
            for item in value["keys"]:
                entry = Entry(
                    address=str(address_parse(item["address"])),
                    type=item["type"],
                    label=item["label"],
                    box=ciphertext_from_json(item["box"]),
                    created_at=item["created_at"],
                    deleted_at=item["deleted_at"],
                )
                content.entries[entry.address] = entry
        except FileNotFoundError:
            raise Locked("password not set") from None
        except (ValueError, KeyError, TypeError, BadAddress) as error:
            raise DamagedStore(f"{self.path} is damaged: {error}") from None
        return content

    def _write(self, content: Content) -> None:
        private_write(self.path, content.to_text())
        status = self.path.stat()
        self._content, self._stamp = content, (status.st_mtime_ns, status.st_ino)


def owner_of(entry: Entry) -> str:
    """Return what a key's box is bound to."""
    return f"{entry.type}:{entry.address}"


def canonical(address: str) -> str:
    """Write an address with `f`.  Raises KeyMissing for what is none."""
    try:
        return str(address_parse(address))
    except BadAddress:
        raise KeyMissing from None


def _with(entry: Entry, *, box: Ciphertext | None = None, deleted_at: str | None = None) -> Entry:
    return Entry(
        entry.address, entry.type, entry.label, box or entry.box, entry.created_at, deleted_at=deleted_at
    )


_NO_CIPHERTEXT: Final = Ciphertext(Cost(), b"", b"", b"")
"""In place of a ciphertext that does not exist yet."""
