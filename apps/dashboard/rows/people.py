"""People, their browsers and passkeys as the pages show them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.core import formatting
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel

if TYPE_CHECKING:
    from apps.users.models import Passkey, PersonSession, User
    from apps.users.services.logins import Failures

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


@dataclass(frozen=True, slots=True)
class TryRow:
    """Logins of one name at one place that failed."""

    name: str
    source: str
    count: str
    last: str
    tone: str
    word: str


def try_row(found: Failures) -> TryRow:
    """Lay out such tries."""
    word = StateLabel("warn", "slowed down") if found.is_slowed else StateLabel("idle", "failed")
    return TryRow(
        name=found.username or "with a passkey",
        source=found.source,
        count=formatting.whole(found.count),
        last=str(time_html(found.last_at)),
        tone=word.tone,
        word=word.word,
    )


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person in a list."""

    key: str
    name: str
    role: str
    role_value: str
    tenant: str
    tone: str
    word: str
    icon: str
    factor: str
    sessions: str
    seen: str
    may_act: bool
    is_open: bool


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


def person_label(person: User) -> StateLabel:
    """Return in words whether a person can come in."""
    if not person.is_active:
        return StateLabel("idle", "closed", "off")
    if person.tenant is not None and not person.tenant.is_open:
        return StateLabel("idle", "tenant disabled", "off")
    return StateLabel("ok", "open") if person.has_usable_password() else StateLabel("run", "invited", "wait")


def factor_text(person: User) -> str:
    """`app, 2 passkeys`; the counts were read along."""
    if not person.has_usable_password():
        return "invitation pending"
    parts = ["app"] if getattr(person, "apps_count", 0) else []
    passkeys = getattr(person, "passkeys_count", 0)
    if passkeys:
        parts.append(f"{passkeys} passkey{'s' if passkeys > 1 else ''}")
    return ", ".join(parts) or "password only"


def person_row(person: User, *, may_act: bool) -> PersonRow:
    """Lay out one person of `people_listed`."""
    word = person_label(person)
    seen = getattr(person, "last_seen", None)
    return PersonRow(
        key=str(person.pk),
        name=person.get_username(),
        role=str(person.get_role_display()),
        role_value=person.role,
        tenant=person.tenant.name if person.tenant is not None else formatting.NOTHING,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        factor=factor_text(person),
        sessions=formatting.whole(getattr(person, "sessions_count", 0)),
        seen=str(time_html(seen)) if seen else "never",
        may_act=may_act,
        is_open=person.is_active,
    )
