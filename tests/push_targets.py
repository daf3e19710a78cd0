"""URLs of the services that apprise sends to, with made-up parts."""

from __future__ import annotations

from apps.checks.services.push_services import PUSH_SERVICES, PushTarget

PARTS = {
    "slack": ("T1JJ3T3L2", "B1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"),
    "slack-bot": ("xoxb-1234-5678-abcdefABCDEF", "ops"),
    "discord": ("123456789012345678", "abc_def-Ghijkl"),
    "telegram": ("123456789:abcdefg_hijklmnopABCDEFGHIJKLMNOPQR", "-1001234567"),
    "pushover": ("u" * 15 + "k" * 15, "a" * 15 + "t" * 15),
    "pushbullet": ("o.abcdefghABCDEFGH",),
    "google-chat": ("AAAAxyz_-1", "AIzaSyKey-_1234", "tok-_1234="),
    "prowl": ("p" * 20 + "q" * 20,),
    "serverchan": ("SCT12345abcDEF",),
    "wxpusher": ("AT_abcdefghijkl", "UID_mnopqrst"),
    "pushplus": ("0123456789abcdef" * 2,),
}
POVER = "pover://{}@{}".format(*PARTS["pushover"])


def target_of(name: str) -> PushTarget:
    service = next(one for one in PUSH_SERVICES if one.name == name)
    return PushTarget(service, dict(zip(service.parts, PARTS[name], strict=True)))
