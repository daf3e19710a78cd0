"""Robots of DingTalk and Feishu that demand a signature take what channels with a signing key send."""

from __future__ import annotations

import hashlib
import json
import socket
from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from apps.checks.models import Notification
from apps.checks.services.alerts import alerts_update
from apps.checks.services.deliver import notifications_deliver
from apps.core import clock
from tests.alerts import T0, Hook, channel, report_of

pytestmark = pytest.mark.django_db

DINGTALK = "oapi.dingtalk.com/robot/send?access_token=x"
FEISHU = "open.feishu.cn/open-apis/bot/v2/hook/x"
LARK = "open.larksuite.com/open-apis/bot/v2/hook/x"
STAMP = int(T0.timestamp())
DINGTALK_SIGN = "oAf1/Qc8slH5lXliJaVmmQsSWWXe07C9ihEUKdWIMqU="
"""What `openssl dgst -sha256 -hmac SECrecorded0example` says of `1795262400000\\nSECrecorded0example`."""
FEISHU_SIGN = "/lWf+L+5UwO5sgxC8zJZjF18xKoxDbq1GIUm3kvUk5s="
"""What it says of nothing with the key `1795262400\\nrecorded0example`."""


@pytest.fixture(autouse=True)
def every_host_is_here_at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *more: found("127.0.0.1", *more))
    monkeypatch.setattr(clock, "now", lambda: T0)


def hmac_by_definition(key: bytes, message: bytes) -> str:
    """RFC 2104, section 2, with SHA-256, in base64."""
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(one ^ 0x36 for one in key) + message).digest()
    return b64encode(hashlib.sha256(bytes(one ^ 0x5C for one in key) + inner).digest()).decode()


def sent(hook: Hook, webhook: str, secret: str) -> Notification:
    """What became of an alert for a webhook with this key."""
    host, _, path = webhook.partition("/")
    channel(target=f"http://{host}:{hook.server.server_port}/{path}", secret=secret)
    alerts_update(report=report_of("fee_debt"), pool="mainnet", now=T0)
    notifications_deliver(now=lambda: T0)
    return Notification.objects.get()


def taken(hook: Hook, field: str) -> None:
    hook.answer = lambda _body: json.dumps({field: 0}).encode()


@pytest.mark.parametrize("secret", ["SECrecorded0example", "SEC" + 80 * "k", "SEC矿"])
def test_dingtalk_gets_time_and_signature_in_its_url(hook: Hook, secret: str) -> None:
    taken(hook, "errcode")

    row = sent(hook, DINGTALK, secret)

    assert (row.error, row.delivered_at) == ("", T0)
    query = parse_qs(urlsplit(hook.requests[0].partition(" ")[2]).query, strict_parsing=True)
    expected = hmac_by_definition(secret.encode(), f"{STAMP}000\n{secret}".encode())
    assert query == {"access_token": ["x"], "timestamp": [f"{STAMP}000"], "sign": [expected]}
    assert secret != "SECrecorded0example" or expected == DINGTALK_SIGN
    assert hook.bodies[0].keys() == {"msgtype", "text"}


@pytest.mark.parametrize("webhook", [FEISHU, LARK])
@pytest.mark.parametrize("secret", ["recorded0example", 80 * "k"])
def test_feishu_gets_time_and_signature_in_its_body(hook: Hook, webhook: str, secret: str) -> None:
    taken(hook, "code")

    row = sent(hook, webhook, secret)

    assert (row.error, row.delivered_at) == ("", T0)
    body = hook.bodies[0]
    expected = hmac_by_definition(f"{STAMP}\n{secret}".encode(), b"")
    assert (body["timestamp"], body["sign"]) == (str(STAMP), expected)
    assert secret != "recorded0example" or expected == FEISHU_SIGN
    assert hook.requests == [f"POST /{webhook.partition('/')[2]}"]


@pytest.mark.parametrize("webhook", [DINGTALK, FEISHU])
def test_robot_without_a_key_gets_no_signature(hook: Hook, webhook: str) -> None:
    taken(hook, "errcode" if webhook == DINGTALK else "code")

    sent(hook, webhook, secret="")

    assert hook.requests == [f"POST /{webhook.partition('/')[2]}"]
    assert "sign" not in hook.bodies[0]


def test_signed_url_stands_in_no_row_and_no_log(hook: Hook, caplog: Any) -> None:
    hook.status = 500

    row = sent(hook, DINGTALK, "SECrecorded0example")

    assert row.error == "HTTP status 500"
    written = caplog.text + repr(Notification.objects.values())
    assert not any(word in written for word in ("sign=", "access_token", "SECrecorded0example"))
