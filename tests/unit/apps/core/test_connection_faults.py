"""Faults of connections as pages name them."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from http.client import BadStatusLine, RemoteDisconnected

import pytest

from apps.core.connection_faults import fault_text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host's name cannot be resolved"),
        (ssl.SSLCertVerificationError(1, "self-signed"), "its certificate is not trusted"),
        (ssl.SSLError(1, "wrong version number"), "TLS failed"),
        (TimeoutError(), "timed out"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused"),
        (RemoteDisconnected("x"), "the connection was closed"),
        (ConnectionResetError(), "the connection was lost"),
        (OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)), "Network is unreachable"),
        (OSError("of no number"), "OSError"),
        (BadStatusLine("?"), "BadStatusLine"),
    ],
)
def test_a_fault_of_a_connection_is_named_in_words(error: Exception, text: str) -> None:
    assert fault_text(error) == text
