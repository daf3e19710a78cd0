"""TLS 1.3 as libp2p uses it: each side shows a certificate that it made itself, whose key its peer key signs.

By pyOpenSSL: Python's `ssl` takes a client's certificate only if an authority that it knows has signed it.

Source: libp2p specs, tls/tls.md.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL

from poolsite.libp2p.connections import RawPipe
from poolsite.libp2p.identity import BadPeer, Identity, peer_id_of, signature_check

PROTOCOL: Final = "/tls/1.0.0"
ALPN: Final = b"libp2p"
PREFIX: Final = b"libp2p-tls-handshake:"
"""The peer's key signs this, followed by the certificate's key."""
EXTENSION: Final = x509.ObjectIdentifier("1.3.6.1.4.1.53594.1.1")
NAME: Final = x509.Name([x509.NameAttribute(x509.NameOID.SERIAL_NUMBER, "1")])
BEFORE: Final = timedelta(hours=1)
"""For clients whose clocks are behind."""
LIFE: Final = timedelta(days=36_500)
HANDSHAKE_MAX: Final = 16 << 10
"""Bytes of a client's side of a handshake that are read: its certificate is the largest part."""
PART_BYTES: Final = 16 << 10
"""That are read at a time: as large as a record."""
UNREADABLE: Final = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""Errors that `cryptography` raises for certificates besides ValueError."""


class BadTls(ValueError):
    """A handshake or record that is none, or a certificate that proves no peer."""


@asn1.sequence
class SignedKey:
    """Content of the certificate's extension."""

    public: bytes
    signature: bytes


def context_make(identity: Identity) -> SSL.Context:
    """Return what all connections of a listener have in common, with a new certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.use_privatekey(key)
    context.use_certificate(certificate_make(identity, key))
    # No authority signs peers' certificates: `peer_read` says whose one is.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.set_alpn_select_callback(
        lambda _, offered: ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
    )
    return context


def certificate_make(identity: Identity, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Return a certificate of a key in which a peer says that the key is its own."""
    signed = SignedKey(public=identity.public, signature=identity.sign(PREFIX + _public(key.public_key())))
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=NAME,
        subject_name=NAME,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - BEFORE,
        not_valid_after=now + LIFE,
    )
    extension = x509.UnrecognizedExtension(EXTENSION, asn1.encode_der(signed))
    return builder.add_extension(extension, critical=False).sign(key, hashes.SHA256())


def peer_read(shown: x509.Certificate, *, now: datetime) -> bytes:
    """Return the id of the peer whose key a certificate names.  Raises BadTls."""
    if not shown.not_valid_before_utc <= now <= shown.not_valid_after_utc:
        raise BadTls("the certificate is not valid now")
    try:
        shown.verify_directly_issued_by(shown)
        extension = shown.extensions.get_extension_for_oid(EXTENSION).value
        signed = asn1.decode_der(SignedKey, extension.public_bytes())
        signature_check(signed.public, signed.signature, PREFIX + _public(shown.public_key()))
    except x509.ExtensionNotFound:
        raise BadTls("the certificate does not say whose it is") from None
    except (InvalidSignature, UnsupportedAlgorithm, BadPeer, ValueError, TypeError) as error:
        raise BadTls(f"certificate: {str(error) or type(error).__name__}") from None
    return peer_id_of(signed.public)


def _public(key: object) -> bytes:
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return data


class TlsPipe:
    """Bytes in TLS records."""

    def __init__(self, raw: RawPipe, context: SSL.Context) -> None:
        self.raw, self.tls = raw, SSL.Connection(context, None)
        self._buffer = bytearray()
        self._writing = asyncio.Lock()
        self.peer_id = b""
        """Peer id of the other side."""

    @classmethod
    async def answered(cls, raw: RawPipe, context: SSL.Context) -> Self:
        """Return the connection of a stranger who proves its peer id.  Raises BadTls, EOFError."""
        pipe = cls(raw, context)
        pipe.tls.set_accept_state()
        await pipe.shake()
        try:
            shown = pipe.tls.get_peer_certificate(as_cryptography=True)
            # The serving side is given that one apart from the others.
            others = pipe.tls.get_peer_cert_chain(as_cryptography=True) or ()
            if shown is None or others:
                raise BadTls("the other side does not show exactly one certificate")
            pipe.peer_id = peer_read(shown, now=datetime.now(UTC))
        except UNREADABLE as error:
            raise BadTls(f"certificate: {error}") from None
        return pipe

    async def read_exactly(self, count: int) -> bytes:
        """Return so many bytes.  Raises EOFError, BadTls."""
        while len(self._buffer) < count:
            try:
                self._buffer += self.tls.recv(PART_BYTES)
            except SSL.WantReadError:
                await self.flush()  # what it answers by itself
                await self._take(PART_BYTES)
            except SSL.ZeroReturnError:
                raise EOFError("the other side has closed") from None
            except SSL.Error as error:
                raise BadTls(f"a record: {error}") from None
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes, whole before others' of the same connection."""
        try:
            self.tls.sendall(data)
        except SSL.Error as error:
            raise BrokenPipeError(f"sending: {error}") from None
        await self.flush()

    async def shake(self) -> None:
        """Carry out the handshake.  Raises BadTls, EOFError."""
        left = HANDSHAKE_MAX
        while not self._shakes():
            await self.flush()
            left -= await self._take(left)
        await self.flush()

    def _shakes(self) -> bool:
        """Go on with the handshake; return whether it is done."""
        try:
            self.tls.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise BadTls(f"handshake: {error}") from None
        return True

    async def _take(self, most: int) -> int:
        """Read what comes; return how many bytes it was."""
        data = await self.raw.read_some(most)
        self.tls.bio_write(data)
        return len(data)

    async def flush(self) -> None:
        """Send what TLS has for the other side."""
        async with self._writing:
            while True:
                try:
                    data = self.tls.bio_read(PART_BYTES)
                except SSL.WantReadError:
                    return
                await self.raw.write(data)
