"""A Ledger as Zondax' Filecoin app answers: keys of their published test phrase, over Speculos' TCP.

Source: APDUSPEC.md of Zondax/ledger-filecoin; BIP 32 for the keys; LedgerHQ/ledgercomm's TCP client.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from coincurve import PrivateKey

from poolsite.filecoin.address import address_to_bytes, secp256k1_address

PHRASE = "equip will roof matter pink blind book anxiety banner elbow sun young"
"""`APP_SEED` of Zondax' tests."""
HARDENED = 1 << 31
PREFIX = bytes.fromhex("0171a0e40220")


def key_at(path: bytes) -> PrivateKey:
    """The phrase's key at a path of five little-endian numbers, by BIP 32."""
    seed = hashlib.pbkdf2_hmac("sha512", PHRASE.encode(), b"mnemonic", 2048)
    digest = hmac.new(b"Bitcoin seed", seed, "sha512").digest()
    key, chain = PrivateKey(digest[:32]), digest[32:]
    for at in range(0, 20, 4):
        step = int.from_bytes(path[at : at + 4], "little")
        data = b"\0" + key.secret if step & HARDENED else key.public_key.format()
        digest = hmac.new(chain, data + step.to_bytes(4, "big"), "sha512").digest()
        key, chain = key.add(digest[:32]), digest[32:]
    return key


def device_signature(key: PrivateKey, message: bytes) -> bytes:
    """R, S, V and the DER form over the digest of a message's CID."""
    cid = PREFIX + blake2b(message, digest_size=32).digest()
    digest = blake2b(cid, digest_size=32).digest()
    return key.sign_recoverable(digest, hasher=None) + key.sign(digest, hasher=None)


class Device:
    """What lies on the table; `refusal` is a status word with text that it answers to a message."""

    def __init__(self, *, refusal: tuple[int, bytes] | None = None, mode: int = 0) -> None:
        self.heard: list[bytes] = []
        self.refusal = refusal
        self.mode = mode
        self.path = b""
        self.message = b""

    def exchange_raw(self, apdu: bytes) -> tuple[int, bytes]:
        """Answer one command."""
        self.heard.append(apdu)
        cla, instruction, first, second, size = apdu[:5]
        data = apdu[5:]
        assert (cla, second, size) == (6, 0, len(data))
        if instruction == 0:
            return 0x9000, bytes([self.mode, 1, 0, 2, 0])
        if instruction == 1:
            public = key_at(data).public_key.format(compressed=False)
            address = secp256k1_address(public)
            parts = (public, address_to_bytes(address), str(address).encode())
            return 0x9000, parts[0] + b"".join(bytes([len(one)]) + one for one in parts[1:])
        assert instruction == 2
        if first == 0:
            self.path, self.message = data, b""
        else:
            assert len(data) <= 250
            self.message += data
        if first < 2:
            return 0x9000, b""
        if self.refusal is not None:
            return self.refusal
        return 0x9000, device_signature(key_at(self.path), self.message)

    def close(self) -> None:
        """Nothing to let go."""


@contextmanager
def at_tcp(device: Device) -> Iterator[str]:
    """Serve a device as Speculos does: a length before each command and answer, the status behind it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        link, _ = listener.accept()
        with link, link.makefile("rb") as asked:
            while head := asked.read(4):
                status, data = device.exchange_raw(asked.read(int.from_bytes(head, "big")))
                link.sendall(len(data).to_bytes(4, "big") + data + status.to_bytes(2, "big"))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(5)
