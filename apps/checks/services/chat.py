"""Chat services that take no JSON of ours: their bodies and signatures, and how each says that it took one.

Source: DingTalk's “Custom robot security settings”, Feishu's “Custom bot usage guide”.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

from apps.checks.models import Notification
from apps.checks.reasons import REFUSED, UNEXPECTED
from apps.checks.services.notification_texts import end_write, text_write
from apps.core.reasons import quoted

KEYWORD: Final = "Poolsite"
"""Each text has it: robots of DingTalk and Feishu can be set to refuse texts without a keyword."""
TEXT_MAX: Final = 2000
"""Bytes of a text: WeCom takes 2048, Discord 2000 characters, the others more."""
REASONS: Final = ("errmsg", "msg", "StatusMessage", "description", "message")
"""Fields in which they say why they refused a text."""
REASON_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is posted to a chat service."""

    url: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatService:
    """What a chat service takes, and what its answer holds if it took it."""

    path: str
    """How the path of its webhooks begins; other paths of its host take other bodies."""
    body: Callable[[str], dict[str, Any]]
    accepted: Mapping[str, Any]
    """Fields of the answer, one of which it has, with their values; empty: its HTTP status is the answer."""
    sign: Callable[[ChatRequest, str, datetime], ChatRequest] | None = None
    """Return a request signed with a key at a moment; None: the service checks no signature of its own."""


def _msgtype_text(text: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": text}}


def _sign_dingtalk(request: ChatRequest, secret: str, at: datetime) -> ChatRequest:
    """Return the request with the time and a signature in its URL: the key signs both."""
    stamp = str(int(at.timestamp() * 1000))
    sign = b64encode(hmac.digest(secret.encode(), f"{stamp}\n{secret}".encode(), "sha256")).decode()
    joint = "&" if urlsplit(request.url).query else "?"
    return ChatRequest(f"{request.url}{joint}timestamp={stamp}&sign={quote_plus(sign)}", request.body)


def _sign_feishu(request: ChatRequest, secret: str, at: datetime) -> ChatRequest:
    """Return the request with the time and a signature in its body: both sign an empty text."""
    stamp = str(int(at.timestamp()))
    sign = b64encode(hmac.digest(f"{stamp}\n{secret}".encode(), b"", "sha256")).decode()
    return ChatRequest(request.url, {"timestamp": stamp, "sign": sign, **request.body})


DINGTALK: Final = ChatService("/robot/send", _msgtype_text, {"errcode": 0}, _sign_dingtalk)
WECOM: Final = ChatService("/cgi-bin/webhook/send", _msgtype_text, {"errcode": 0})
FEISHU: Final = ChatService(
    "/open-apis/bot/v2/hook/",
    lambda text: {"msg_type": "text", "content": {"text": text}},
    {"code": 0, "StatusCode": 0},
    _sign_feishu,
)
DISCORD: Final = ChatService(
    "/api/", lambda text: {"content": text, "allowed_mentions": {"parse": []}}, accepted={}
)
TELEGRAM: Final = ChatService("/bot", lambda text: {"text": text}, {"ok": True})

SERVICES: Final = {
    "oapi.dingtalk.com": DINGTALK,
    "qyapi.weixin.qq.com": WECOM,
    "open.feishu.cn": FEISHU,
    "open.larksuite.com": FEISHU,
    "discord.com": DISCORD,
    "discordapp.com": DISCORD,
    "api.telegram.org": TELEGRAM,
}
"""By the host of a webhook's URL."""
OWN_FORMATS: Final = ("/slack", "/github")
"""How paths of Discord end that take what those services take."""
TEXT_HOSTS: Final = ("hooks.slack.com",)
TEXT_PATHS: Final = ("/hooks/",)
"""Beginnings of paths of Mattermost's webhooks, on whatever host it runs."""


def is_text_reader(url: str) -> bool:
    """Return whether a service shows the text of our JSON and nothing else of it, as Slack does."""
    parts = urlsplit(url)
    return (
        parts.hostname in TEXT_HOSTS
        or parts.path.startswith(TEXT_PATHS)
        or parts.path.endswith(OWN_FORMATS[0])
    )


def chat_find(url: str) -> ChatService | None:
    """Return the chat service of a URL; None for one that takes our JSON, as Slack and Mattermost do."""
    parts = urlsplit(url)
    service = SERVICES.get(parts.hostname or "")
    if service is None or not parts.path.startswith(service.path) or parts.path.endswith(OWN_FORMATS):
        return None
    return service


def chat_body_write(service: ChatService, *, row: Notification) -> dict[str, Any]:
    """Return a notification as a chat service takes it, with its page if that has a host."""
    return service.body(chat_text_write(row, head=f"{KEYWORD}: "))


def chat_text_write(row: Notification, *, head: str = "", calls_nobody: bool = False) -> str:
    """Return a notification as plain text, with its cost, and its page if that has a host."""
    return text_fit(f"{head}{text_write(row)}", end=end_write(row), most=TEXT_MAX, calls_nobody=calls_nobody)


def text_fit(text: str, *, end: str, most: int, calls_nobody: bool = False) -> str:
    """Return a text of at most so many bytes with its end; `calls_nobody`: no `@` in it begins a name."""
    room = most - len(end.encode())
    text = text.replace("@", "@\u200b") if calls_nobody else text
    if len(text.encode()) > room:
        text = text.encode()[: room - len("…".encode())].decode(errors="ignore") + "…"
    return text + end


def chat_request_sign(
    service: ChatService, *, request: ChatRequest, secret: str, at: datetime
) -> ChatRequest:
    """Return the request as a service that checks signatures takes it at this moment."""
    return request if service.sign is None or not secret else service.sign(request, secret, at)


def chat_refusal_read(service: ChatService, *, answer: bytes) -> str:
    """Return why a text was refused, with the service's own words; empty if it was taken."""
    if not service.accepted:
        return ""
    found = _object(answer)
    name = next((name for name in service.accepted if name in found), None)
    if name is None:
        return UNEXPECTED()
    if found[name] == service.accepted[name]:
        return ""
    return REFUSED(reason=quoted(chat_reason_read(answer), by="channel"))


def chat_reason_read(answer: bytes, *, also: Sequence[str] = ()) -> str:
    """Return the words and the code with which a chat service refused a text."""
    found = _object(answer)
    words = [str(found[name]) for name in (*REASONS, *also, "errcode", "error_code", "code") if name in found]
    return ", ".join(words)[:REASON_MAX]


def _object(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
