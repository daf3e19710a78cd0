"""Sending one notification: a POST to a webhook or to PagerDuty, an e-mail, or by apprise."""

from __future__ import annotations

import hmac
import json
import smtplib
import time
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPException
from typing import Final
from urllib.parse import unquote, urlsplit

from django.core.mail import EmailMessage

from apps.chain.node.connections import Connections
from apps.chain.node.public_hosts import HostNotPublic, PublicConnections
from apps.checks.models import Notification
from apps.checks.reasons import KEY_CHANGED, MAIL_ERROR, NO_RESPONSE, NOT_PUBLIC, STATUS, STATUS_SAID
from apps.checks.services.chat import (
    ChatRequest,
    chat_body_write,
    chat_find,
    chat_reason_read,
    chat_refusal_read,
    chat_request_sign,
    chat_text_write,
    is_text_reader,
)
from apps.checks.services.notification_texts import cost_write, details_write, page_write, subject_write
from apps.checks.services.pagerduty import pagerduty_events_build, pagerduty_reason_read
from apps.checks.services.push import push_send
from apps.checks.states import ChannelKind
from apps.core import clock
from apps.core.connection_faults import fault_reason
from apps.core.reasons import Reason, quoted
from apps.users.rules.encryption import DecryptionFailed, text_decrypt

CONNECT_S: Final = 5.0
ANSWER_S: Final = 15.0
ANSWER_MAX: Final = 64 * 1024


class NotDelivered(Exception):
    """A notification that its channel did not take; the reason names no address."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def notification_send(row: Notification) -> None:
    """Send a notification to its channel.  Raises NotDelivered."""
    try:
        target = text_decrypt(row.channel.target)
        secret = text_decrypt(row.channel.secret) if row.channel.secret else ""
    except DecryptionFailed:
        raise NotDelivered(KEY_CHANGED()) from None
    if row.channel.kind == ChannelKind.EMAIL:
        mail_send(row, address=target)
    elif row.channel.kind == ChannelKind.APPRISE:
        if reason := push_send(row, url=target):
            raise NotDelivered(reason)
    elif row.channel.kind == ChannelKind.PAGERDUTY:
        pagerduty_send(row, url=target, key=secret, to_public=row.channel.tenant_id is not None)
    else:
        webhook_send(row, url=target, secret=secret, to_public=row.channel.tenant_id is not None)


def webhook_send(row: Notification, *, url: str, secret: str, to_public: bool) -> None:
    """Post the body as JSON, or what the chat service of the URL takes.  Raises NotDelivered.

    `to_public` refuses hosts without a public address: the operator alone may notify one in its own network.

    Any answer from 200 to 299 is good, unless a chat service says in it that it refused the text.
    """
    chat = chat_find(url)
    shown = {"text": chat_text_write(row, calls_nobody=True)} if is_text_reader(url) else {}
    request = ChatRequest(url, row.body | shown if chat is None else chat_body_write(chat, row=row))
    if chat is not None:
        request = chat_request_sign(chat, request=request, secret=secret, at=clock.now())
    body = json.dumps(request.body).encode()
    headers = {"Content-Type": "application/json"}
    if secret and (chat is None or chat.sign is None):
        headers["X-Poolsite-Signature"] = "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
    status, answer = url_open(
        request.url, method="POST", body=body, headers=headers, answer_s=ANSWER_S, to_public=to_public
    )
    if not 200 <= status < 300:
        reason = chat_reason_read(answer) if chat is not None else ""
        raise NotDelivered(status_describe(status, detail=reason))
    if chat is not None and (reason := chat_refusal_read(chat, answer=answer)):
        raise NotDelivered(reason)


def pagerduty_send(row: Notification, *, url: str, key: str, to_public: bool) -> None:
    """Post the events of a notification one after the other, all within `ANSWER_S`.  Raises NotDelivered."""
    until = time.monotonic() + ANSWER_S
    for event in pagerduty_events_build(row, key=key):
        status, answer = url_open(
            url,
            method="POST",
            body=json.dumps(event).encode(),
            headers={"Content-Type": "application/json"},
            answer_s=max(until - time.monotonic(), 1.0),
            to_public=to_public,
        )
        if not 200 <= status < 300:
            reason = pagerduty_reason_read(answer)
            raise NotDelivered(status_describe(status, detail=reason))


def status_describe(status: int, *, detail: str = "") -> Reason:
    """Return what an HTTP status that is no success means, with the channel's own words."""
    return STATUS_SAID(status=status, error=quoted(detail, by="channel")) if detail else STATUS(status=status)


def url_open(
    url: str,
    *,
    method: str,
    body: bytes | None = None,
    headers: Mapping[str, str],
    answer_s: float,
    to_public: bool = False,
) -> tuple[int, bytes]:
    """Return status and body of an answer; name and password go with it if the URL has them.

    Redirects are not followed.  Raises NotDelivered if none comes.
    """
    sent = {"User-Agent": "Poolsite", "Connection": "close", **headers}
    parts = urlsplit(url)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        sent["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    kind = PublicConnections if to_public else Connections
    connections = kind(url, sent, answer_max=ANSWER_MAX)
    try:
        return connections.request(method, body, connect_s=min(CONNECT_S, answer_s), answer_s=answer_s)
    except HostNotPublic:
        raise NotDelivered(NOT_PUBLIC()) from None
    except (OSError, HTTPException, ValueError) as error:
        raise NotDelivered(NO_RESPONSE(error=fault_reason(error))) from None
    finally:
        connections.close()


def mail_send(row: Notification, *, address: str) -> None:
    """Send an e-mail through the server of `EMAIL_URL`.  Raises NotDelivered."""
    subject = subject_write(row)
    parts = (details_write(row, subject=subject), cost_write(row), page_write(row))
    message = EmailMessage(
        subject=subject,
        body="\n\n".join(part for part in parts if part),
        to=[address],
        headers={"Message-ID": f"<{row.uuid}@poolsite>"},
    )
    try:
        message.send()
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(MAIL_ERROR(error=fault_reason(error))) from None
