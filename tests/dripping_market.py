"""A market that takes bytes, or answers, a drop at a time: each drop keeps a socket's timeout from ending."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apps.core import clock

PAUSE_S: Final = 0.05
WHOLE_S: Final = 20.0
"""After which it is over by itself."""
LENGTH: Final = b"Content-Length: 1000\r\n\r\n"
REST: Final = {"answer": b"X: ", "download": LENGTH, "short": LENGTH + bytes(10)}
"""What comes at once of an answer, after its first line."""


def context_of(folder: Path, *, host: str = "") -> ssl.SSLContext:
    """Return a TLS server's context, of this machine or a host; a client trusts `cert.pem` in the folder."""
    own: x509.GeneralName = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    named = x509.DNSName(host) if host else own
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "m")]),
    )
    now = clock.now()
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([named]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    cert = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key.private_bytes(*pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@contextmanager
def dripping_market(dripping: str, context: ssl.SSLContext | None) -> Iterator[str]:
    """Serve one client on a port of this machine; `dripping` is its "body" or the "answer".

    Or what is fetched from it, a "download"; "short": that breaks off.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        thread = threading.Thread(target=_serve, args=(listener, dripping, context, over), daemon=True)
        thread.start()
        scheme = "http" if context is None else "https"
        try:
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            over.set()
    thread.join()


def _serve(
    listener: socket.socket, dripping: str, context: ssl.SSLContext | None, over: threading.Event
) -> None:
    with suppress(OSError):
        client, _ = listener.accept()
        with client if context is None else context.wrap_socket(client, server_side=True) as sock:
            if dripping != "body":
                sock.recv(1 << 16)
                sock.sendall(b"HTTP/1.1 200 OK\r\n" + REST[dripping])
            if dripping == "short":
                return
            for _ in range(int(WHOLE_S / PAUSE_S)):
                if over.wait(PAUSE_S):
                    return
                if dripping != "body":
                    sock.sendall(b"x")
                elif not sock.recv(64):
                    return
