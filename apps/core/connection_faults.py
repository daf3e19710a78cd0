"""What went wrong at a connection, in words."""

from __future__ import annotations

import smtplib
import socket
import ssl
from http.client import RemoteDisconnected
from typing import Final

from django.utils.translation import gettext_noop as _

from apps.core.marked_texts import gettext
from apps.core.reasons import MARKED, Reason, quoted

FAULTS: Final[tuple[tuple[type[Exception], str], ...]] = (
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
            return gettext(text)
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def fault_reason(error: Exception) -> Reason | str:
    """Return the same for a row."""
    text = next((text for kind, text in FAULTS if isinstance(error, kind)), "")
    return MARKED(text=text) if text else quoted(fault_text(error), by="system")
