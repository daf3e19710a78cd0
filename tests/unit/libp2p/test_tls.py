"""TLS 1.3 with peers' own certificates: who proves its key is served, nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

from poolsite.libp2p.identity import Identity
from poolsite.libp2p.listener import Listener
from poolsite.libp2p.tls import EXTENSION, NAME, BadTls, SignedKey, certificate_make, peer_read
from poolsite.libp2p.yamux import DATA, Stream
from tests.libp2p_client import Client, connections_close

ECHO = "/echo/1"
PEER = Identity.of_seed(bytes([7]) * 32)
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.now(UTC)
MEANINGLESS = x509.ObjectIdentifier("1.3.6.1.4.1.53594.1.9")


async def echo(stream: Stream) -> None:
    await stream.write(await stream.read_exactly(40_000))


def run(play: Callable[[Listener, int], Awaitable[None]]) -> None:
    async def whole() -> None:
        listener = Listener(Identity.of_seed(bytes(range(32))), {ECHO: echo}, agent="poolsite/test")
        port = await listener.open("127.0.0.1", 0)
        try:
            async with asyncio.timeout(20):
                await play(listener, port)
        finally:
            await connections_close()
            await listener.close()

    asyncio.run(whole())


def context(*certificates: x509.Certificate | crypto.X509, version: int = SSL.TLS1_3_VERSION) -> SSL.Context:
    """Return a client's context; it checks no certificate."""
    found = SSL.Context(SSL.TLS_CLIENT_METHOD)
    found.set_max_proto_version(version)
    found.set_alpn_protos([b"/yamux/1.0.0", b"libp2p"])
    if certificates:
        found.use_privatekey(KEY)
        found.use_certificate(certificates[0])
    for other in certificates[1:]:
        found.add_extra_chain_cert(other)
    return found


def made(
    value: bytes | None,
    *,
    signer: Any = KEY,
    before: datetime = NOW,
    after: datetime = NOW + timedelta(days=1),
    more: int = 0,
) -> x509.Certificate:
    """A certificate of KEY with such an extension, and with more bytes that mean nothing."""
    builder = x509.CertificateBuilder(
        issuer_name=NAME,
        subject_name=NAME,
        public_key=KEY.public_key(),
        serial_number=1,
        not_valid_before=before,
        not_valid_after=after,
    ).add_extension(x509.UnrecognizedExtension(MEANINGLESS, bytes(more)), critical=False)
    if value is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(EXTENSION, value), critical=True)
    return builder.sign(signer, hashes.SHA256())


def signed(data: bytes, *, identity: Identity = PEER) -> bytes:
    return asn1.encode_der(SignedKey(public=PEER.public, signature=identity.sign(data)))


def proof(key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    """The extension of a certificate of that key."""
    extension = certificate_make(PEER, key).extensions.get_extension_for_oid(EXTENSION)
    return extension.value.public_bytes()


def test_a_client_proves_its_key_and_is_answered() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect_tls(port, context=context(made(proof())))
        data = bytes(range(250)) * 160
        assert await client.ask(ECHO, data) == data
        assert [one.peer_id for one in listener.connections] == [PEER.peer_id]
        assert client.tls.tls.get_alpn_proto_negotiated() == b"libp2p"
        assert client.tls.tls.get_protocol_version_name() == "TLSv1.3"
        shown = client.tls.tls.get_peer_certificate(as_cryptography=True)
        assert shown is not None
        assert peer_read(shown, now=NOW + timedelta(days=3650)) == listener.identity.peer_id

    run(play)


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (made(None), "does not say whose"),
        (made(b"\x30\x00"), "certificate: "),
        (made(proof(), signer=OTHER), "certificate: "),
        (made(proof(OTHER)), "signature of the peer's key"),
        (made(signed(b"libp2p-tls-handshake:")), "signature of the peer's key"),
        (made(proof(), before=NOW + timedelta(days=1), after=NOW + timedelta(days=2)), "not valid now"),
        (made(proof(), before=NOW - timedelta(hours=2), after=NOW - timedelta(hours=1)), "not valid now"),
    ],
    ids=["none", "empty", "other-signer", "of-another-key", "of-no-key", "not-yet", "over"],
)
def test_a_certificate_that_proves_no_peer_is_refused(shown: x509.Certificate, reason: str) -> None:
    with pytest.raises(BadTls, match=reason):
        peer_read(shown, now=NOW)

    refused(context(shown))


def changed(find: bytes, put: bytes) -> crypto.X509:
    """A certificate of KEY in which bytes are others, signed anew."""
    part = made(proof(), more=9).tbs_certificate_bytes.replace(find, put)
    signature = b"\0" + KEY.sign(part, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    whole = part + algorithm + bytes([3, len(signature)]) + signature
    return crypto.load_certificate(crypto.FILETYPE_ASN1, b"\x30\x82" + len(whole).to_bytes(2, "big") + whole)


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL X509 objects:DeprecationWarning")
@pytest.mark.parametrize(
    ("find", "put"),
    [("060a2b0601040183a25a0109", "060a2b0601040183a25a0101"), ("a003020102", "a003020105")],
    ids=["extension-twice", "version"],
)
def test_a_certificate_that_cannot_be_read_ends_the_connection(find: str, put: str) -> None:
    """Without a word in the log: strangers make it."""
    refused(context(changed(bytes.fromhex(find), bytes.fromhex(put))))


def refused(how: SSL.Context) -> None:
    """A client that connects so is not served, and the next one is."""

    async def play(listener: Listener, port: int) -> None:
        with pytest.raises((EOFError, OSError, BadTls)):
            await Client.connect_tls(port, context=how)
        while listener.connections:
            await asyncio.sleep(0.01)
        assert (listener.counts.broken, listener.counts.streams) == (1, {})
        client = await Client.connect_tls(port, context=context(made(proof())))
        assert await client.ask(ECHO, bytes(40_000)) == bytes(40_000)

    run(play)


def test_a_client_without_a_certificate_or_with_two_is_refused() -> None:
    refused(context())
    refused(context(made(proof()), made(proof(), signer=OTHER)))


def test_older_versions_of_tls_are_refused() -> None:
    refused(context(made(proof()), version=SSL.TLS1_2_VERSION))


def test_a_handshake_that_is_too_long_ends_the_connection() -> None:
    refused(context(made(proof(), more=20_000)))


def test_garbage_after_the_handshake_ends_the_connection() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect_tls(port, context=context(made(proof())))
        assert len(listener.connections) == 1
        await client.tls.raw.write(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises((EOFError, OSError, BadTls)):
            await client.take()
        while listener.connections:
            await asyncio.sleep(0.01)
        assert listener.counts.broken == 1

    run(play)


def test_a_client_that_closes_leaves_nothing_behind() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect_tls(port, context=context(made(proof())))
        number = await client.open()
        await client.frame(DATA, 0, number, b"\x13/multistream/1.0.0\n")
        client.tls.tls.shutdown()
        await client.tls.flush()
        while listener.connections:
            await asyncio.sleep(0.01)
        assert listener.held.count == 0

    run(play)
