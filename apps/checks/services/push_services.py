"""Services for phones and chats that apprise sends to, each with its own hosts, and the URLs that name them.

A URL is read here alone, and by nothing but the pattern of its service: no options, no host, no port.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

PARTS_MAX: Final = 3
"""No service has more parts than that."""
TEXT_MAX: Final = 2000
TITLE_MAX: Final = 150
SAFE: Final = ":@"
"""Characters of a part that stand in its URL as they are."""


@dataclass(frozen=True, slots=True)
class PushService:
    """A service with fixed hosts."""

    name: str
    title: str
    """Its proper name."""
    form: str
    """Its URL, with the names of its parts in braces."""
    parts: Mapping[str, str]
    """Patterns of the parts by their names."""
    hosts: frozenset[str]
    plugin: str
    """Module and class in `apprise.plugins`."""
    text_max: int = TEXT_MAX
    """Bytes of a text that it takes beside the title."""
    title_max: int = TITLE_MAX
    """Characters of a title that it takes."""
    pings: bool = False
    """Whether `@` in a text calls people, whoever wrote it."""
    options: str = ""
    """Query of the URL that apprise gets: nothing of its own beside the text."""

    @property
    def scheme(self) -> str:
        """Return what its URLs begin with."""
        return self.form.partition(":")[0]

    @property
    def shape(self) -> str:
        """Return its URL as people are told to write it."""
        return self.form.replace("{", "").replace("}", "")


_WORD: Final = r"[\w-]+"
PUSH_SERVICES: Final = (
    PushService(
        "slack",
        "Slack (webhook)",
        "slack://{workspace}/{webhook}/{token}",
        {"workspace": "T[A-Z0-9]+", "webhook": "B[A-Z0-9]+", "token": "[A-Za-z0-9]{24}"},
        frozenset({"hooks.slack.com"}),
        "slack:NotifySlack",
        options="image=no&footer=no",
    ),
    PushService(
        "slack-bot",
        "Slack (bot)",
        "slack://{bot_token}/{channel}",
        {"bot_token": r"xoxb-[\w-]+", "channel": r"[A-Za-z0-9][\w-]*"},
        frozenset({"slack.com"}),
        "slack:NotifySlack",
        options="image=no&footer=no",
    ),
    PushService(
        "discord",
        "Discord",
        "discord://{webhook_id}/{token}",
        {"webhook_id": r"\d+", "token": _WORD},
        frozenset({"discord.com"}),
        "discord:NotifyDiscord",
        text_max=1750,  # of 2000 characters with the title
        pings=True,
        options="avatar=no",
    ),
    PushService(
        "telegram",
        "Telegram",
        "tgram://{bot_token}/{chat_id}",
        {"bot_token": r"\d+:[\w-]+", "chat_id": r"-?\d+"},
        frozenset({"api.telegram.org"}),
        "telegram:NotifyTelegram",
    ),
    PushService(
        "pushover",
        "Pushover",
        "pover://{user_key}@{token}",
        {"user_key": "[A-Za-z0-9]{30}", "token": "[A-Za-z0-9]{30}"},
        frozenset({"api.pushover.net"}),
        "pushover:NotifyPushover",
        text_max=1000,
    ),
    PushService(
        "pushbullet",
        "Pushbullet",
        "pbul://{token}",
        {"token": r"[A-Za-z0-9][\w.-]+"},
        frozenset({"api.pushbullet.com"}),
        "pushbullet:NotifyPushBullet",
    ),
    PushService(
        "google-chat",
        "Google Chat",
        "gchat://{space}/{key}/{token}",
        {"space": _WORD, "key": _WORD, "token": _WORD + "=*"},
        frozenset({"chat.googleapis.com"}),
        "google_chat:NotifyGoogleChat",
    ),
    PushService(
        "prowl",
        "Prowl",
        "prowl://{token}",
        {"token": "[A-Za-z0-9]{40}"},
        frozenset({"api.prowlapp.com"}),
        "prowl:NotifyProwl",
    ),
    PushService(
        "serverchan",
        "ServerChan",
        "schan://{token}",
        {"token": "SCT[A-Za-z0-9]+"},
        frozenset({"sctapi.ftqq.com"}),
        "serverchan:NotifyServerChan",
        title_max=32,
    ),
    PushService(
        "wxpusher",
        "WxPusher",
        "wxpusher://{token}/{user}",
        {"token": r"AT_\w+", "user": r"UID_\w+|\d+"},
        frozenset({"wxpusher.zjiecode.com"}),
        "wxpusher:NotifyWxPusher",
        title_max=20,
    ),
    PushService(
        "pushplus",
        "PushPlus",
        "pushplus://{token}",
        {"token": "[A-Za-z0-9]{32}"},
        frozenset({"www.pushplus.plus"}),
        "pushplus:NotifyPushplus",
        title_max=100,
    ),
)
PUSH_BY_NAME: Final = {one.name: one for one in PUSH_SERVICES}
SCHEMES: Final = tuple(dict.fromkeys(one.scheme for one in PUSH_SERVICES))


@dataclass(frozen=True, slots=True)
class PushTarget:
    """A service with the parts of its URL, which are secret."""

    service: PushService
    parts: Mapping[str, str]

    @property
    def url(self) -> str:
        """Return the one URL that names it."""
        quoted = {name: quote(text, safe=SAFE) for name, text in self.parts.items()}
        return self.service.form.format(**quoted)

    @property
    def apprise_url(self) -> str:
        """Return it with the options of its service."""
        return f"{self.url}?{self.service.options}" if self.service.options else self.url


def push_url_find(text: str) -> PushTarget | None:
    """Return what a URL names; None for one that has not exactly the form of a service."""
    scheme, _, rest = text.rstrip("/").partition("://")
    for service in PUSH_SERVICES:
        if service.scheme != scheme.lower():
            continue
        form = re.escape(service.form.partition("://")[2])
        for name in service.parts:
            form = form.replace(re.escape("{" + name + "}"), f"(?P<{name}>[^/@?#]+)")
        found = re.fullmatch(form, rest, re.ASCII)
        if found is None:
            continue
        parts = {name: unquote(part) for name, part in found.groupdict().items()}
        if wrong_part_find(service, parts=parts) is None:
            return PushTarget(service, parts)
    return None


def wrong_part_find(service: PushService, *, parts: Mapping[str, str]) -> str | None:
    """Return the name of the first part that is not as the service gives it; None if all are."""
    for name, pattern in service.parts.items():
        if re.fullmatch(pattern, parts[name], re.ASCII) is None:
            return name
    return None
