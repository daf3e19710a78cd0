"""A Ledger with Zondax' Filecoin app: what is said to the device and what it answers.

Source: APDUSPEC.md of Zondax/ledger-filecoin; ledger-filecoin-go app.go and common.go; lotus
chain/wallet/ledger/ledger.go for the path.  ledgercomm, which reaches it, is installed only beside a device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from poolsite.filecoin.address import BadAddress, address_from_bytes, secp256k1_address
from poolsite.filecoin.signature import BadSignature, Signature, signature_verify
from poolsite.filecoin.sigtypes import SECP256K1_SIGNATURE_LEN, SIG_SECP256K1
from workers.loading import loaded
from workers.signer.errors import SignerError, Unable

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address

PACKAGE: Final = "ledgercomm[hid]==1.2.1"
"""What a machine with a device installs; decision 44."""

CLA: Final = 0x06
GET_VERSION: Final = 0x00
GET_ADDRESS: Final = 0x01
SIGN: Final = 0x02
FIRST, MORE, LAST = 0, 1, 2
"""Places of a part in what is signed."""
PART_LEN: Final = 250
PUBLIC_KEY_LEN: Final = 65
OK: Final = 0x9000
HARDENED: Final = 1 << 31
PATH_LEN: Final = 5
PATH: Final = re.compile(r"m/" + "/".join([r"(\d{1,10})('?)"] * PATH_LEN))
LOTUS_PATH: Final = "m/44'/461'/0'/0/{index}"
"""Where `lotus wallet new secp256k1-ledger` makes its keys, from 0."""
KEYS_LOOKED_AT: Final = 20

REFUSALS: Final = {
    0x6400: "the app failed",
    0x6982: "the device is locked: enter its PIN",
    0x6984: "the app cannot read the message",
    0x6985: "it was refused on the device",
    0x6986: "it was refused on the device",
    0x6A80: "the app does not take these parameters",
    0x6B0C: "the device is locked: enter its PIN",
    0x5515: "the device is locked: enter its PIN",
    0x6D00: "the app on the device is not the Filecoin app, or too old",
    0x6E00: "the Filecoin app is not open on the device",
    0x6E01: "the Filecoin app is not open on the device",
    0x6511: "the Filecoin app is not open on the device",
}
"""What status words mean; newer systems have other ones for the same."""


class LedgerRefused(Unable):
    """The device, its app or the person in front of it did not do it."""


class Transport(Protocol):
    """What carries a command to a device, and its answer back: ledgercomm's `Transport`."""

    def exchange_raw(self, apdu: bytes) -> tuple[int, bytes]:
        """Return the status word and the data."""

    def close(self) -> None:
        """Close it."""


@dataclass(frozen=True, slots=True)
class Version:
    """Which app is open."""

    is_test: bool
    """Built for tests: its keys are known to everybody."""
    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def path_parse(text: str) -> bytes:
    """Return a path as `m/44'/461'/0'/0/0` as the device reads it.  Raises SignerError."""
    found = PATH.fullmatch(text)
    if found is None:
        raise SignerError(f"{text[:60]} is no path like {LOTUS_PATH.format(index=0)}")
    steps = [int(found[at]) for at in range(1, 2 * PATH_LEN, 2)]
    if max(steps) >= HARDENED:
        raise SignerError(f"{max(steps)} in the path is too large")
    marks = [HARDENED if found[at] else 0 for at in range(2, 2 * PATH_LEN + 1, 2)]
    return b"".join((step | mark).to_bytes(4, "little") for step, mark in zip(steps, marks, strict=True))


def command(instruction: int, data: bytes = b"", *, first: int = 0) -> bytes:
    """Return one command to the app."""
    return bytes([CLA, instruction, first, 0, len(data)]) + data


def sign_commands(path: bytes, message: bytes) -> list[bytes]:
    """Return the commands that have a message signed: its path, then its CBOR in parts."""
    parts = [message[at : at + PART_LEN] for at in range(0, len(message), PART_LEN)]
    *earlier, end = parts
    return [
        command(SIGN, path, first=FIRST),
        *(command(SIGN, part, first=MORE) for part in earlier),
        command(SIGN, end, first=LAST),
    ]


def address_read(data: bytes) -> Address:
    """Return the address of an answer, which must be that of its public key.  Raises LedgerRefused."""
    key, rest = data[:PUBLIC_KEY_LEN], data[PUBLIC_KEY_LEN:]
    try:
        address = address_from_bytes(rest[1 : 1 + rest[0]])
    except (BadAddress, IndexError):
        raise LedgerRefused("the device's answer cannot be read") from None
    if address != secp256k1_address(key):
        raise LedgerRefused("the device's address is not that of its key")
    return address


class Ledger:
    """One device."""

    def __init__(self, link: Transport) -> None:
        self.link = link

    def ask(self, *commands: bytes) -> bytes:
        """Return the answer to the last of some commands.  Raises LedgerRefused."""
        answer = b""
        for one in commands:
            try:
                status, answer = self.link.exchange_raw(one)
            except (
                Exception
            ) as error:  # the transport's own: a device that was pulled out, a socket that ended
                raise LedgerRefused(f"the device does not answer: {error}") from error
            if status != OK:
                detail = answer.decode("ascii", "replace").strip()
                reason = REFUSALS.get(status, f"the device answers {status:#06x}")
                raise LedgerRefused(f"{reason}: {detail}" if detail else reason)
        return answer

    def version(self) -> Version:
        """Return which app is open.  Raises LedgerRefused."""
        answer = self.ask(command(GET_VERSION))
        if len(answer) < 4:  # mode, major, minor, patch
            raise LedgerRefused("the device's answer cannot be read")
        return Version(answer[0] != 0, *answer[1:4])

    def address(self, path: bytes) -> Address:
        """Return the address at a path, without asking the person.  Raises LedgerRefused."""
        return address_read(self.ask(command(GET_ADDRESS, path)))

    def path_of(self, address: Address) -> bytes:
        """Return the path of an address, among the first of lotus.  Raises LedgerRefused."""
        for index in range(KEYS_LOOKED_AT):
            path = path_parse(LOTUS_PATH.format(index=index))
            if self.address(path) == address:
                return path
        first, last = (LOTUS_PATH.format(index=index) for index in (0, KEYS_LOOKED_AT - 1))
        raise LedgerRefused(f"the device has no key of {address} from {first} to {last}: pass --ledger-path")

    def sign(self, path: bytes, *, address: Address, message: bytes, payload: bytes) -> Signature:
        """Return the signature that a person gives at the device, verified.  Raises LedgerRefused."""
        answer = self.ask(*sign_commands(path, message))
        signature = Signature(SIG_SECP256K1, answer[:SECP256K1_SIGNATURE_LEN])
        try:
            signature_verify(signature, address, payload)
        except BadSignature as error:
            raise LedgerRefused(f"the device's signature is not that of {address}: {error}") from None
        return signature


@contextmanager
def ledger_opened(at: str = "") -> Iterator[Ledger]:
    """Open the device at USB, or an emulator at HOST:PORT.  Raises SignerError, LedgerRefused."""
    try:
        transport = loaded("ledgercomm:Transport")
    except ImportError:
        raise SignerError(f"a Ledger needs a package: pip install '{PACKAGE}'") from None
    host, _, port = at.rpartition(":")
    if at and not (host and port.isdigit()):
        raise SignerError(f"{at[:60]} is not HOST:PORT")
    try:
        link = transport("tcp", server=host, port=int(port)) if at else transport("hid")
    except ImportError:
        raise SignerError(f"a Ledger at USB needs a package: pip install '{PACKAGE}'") from None
    except Exception as error:  # the transport's own kinds
        raise LedgerRefused(f"no Ledger can be reached: {error}") from error
    try:
        yield Ledger(link)
    finally:
        link.close()
