"""A person's browsers and passkeys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.core import formatting
from apps.dashboard.html_time import time_html

if TYPE_CHECKING:
    from apps.users.models import Passkey, PersonSession


BROWSERS: Final = (
    ("Edge", re.compile(r"Edg(?:A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"OPR/(\d+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"(?:Chrome|CriOS|HeadlessChrome)/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+)[\d.]* (?:Mobile/\w+ )?Safari")),
)
"""In this order: most name others of them too."""

SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A browser in which a person is signed in."""

    key: str
    device: str
    full: str
    source: str
    factor: str
    started: str
    seen: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    """One passkey."""

    key: str
    name: str
    made: str
    used: str
    synced: str


def device_text(agent: str) -> str:
    """`Firefox 128 on Linux`; what a browser says of itself where we do not know it."""
    browser = next((f"{name} {found[1]}" for name, sign in BROWSERS if (found := sign.search(agent))), "")
    system = next((name for sign, name in SYSTEMS if sign in agent), "")
    if not browser:
        return formatting.shortened(agent) if agent else "unknown browser"
    return f"{browser} on {system}" if system else browser


def session_row(row: PersonSession, *, here: str) -> SessionRow:
    """Lay out one session; `here` is the key of the one that asks."""
    return SessionRow(
        key=str(row.pk),
        device=device_text(row.device),
        full=row.device,
        source=row.source or formatting.NOTHING,
        factor=str(row.get_factor_display()),
        started=str(time_html(row.started_at)),
        seen=str(time_html(row.seen_at)),
        is_here=row.key == here,
    )


def passkey_row(row: Passkey) -> PasskeyRow:
    """Lay out one passkey."""
    return PasskeyRow(
        key=str(row.pk),
        name=row.name,
        made=str(time_html(row.created_at)),
        used=str(time_html(row.last_used_at)) if row.last_used_at else "never used",
        synced="kept by its maker too" if row.is_synced else "on one device",
    )
