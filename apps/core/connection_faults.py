"""What went wrong at a connection, in words."""

from __future__ import annotations

import smtplib
import socket
import ssl
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

FAULTS: Final[tuple[tuple[type[Exception], _StrPromise], ...]] = (
    (socket.gaierror, _("the host's name cannot be resolved")),
    (UnicodeError, _("the host's name cannot be resolved")),
    (ssl.SSLCertVerificationError, _("its certificate is not trusted")),
    (ssl.SSLError, _("TLS failed")),
    (TimeoutError, _("timed out")),
    (ConnectionRefusedError, _("connection refused")),
    (RemoteDisconnected, _("the connection was closed")),
    (ConnectionError, _("the connection was lost")),
    (smtplib.SMTPAuthenticationError, _("name or password refused")),
)
"""The first that an error is an instance of counts."""


def fault_text(error: Exception) -> str:
    """Return what an error of a connection or a file means; the name of its class where that is all."""
    for kind, text in FAULTS:
        if isinstance(error, kind):
            return str(text)
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
