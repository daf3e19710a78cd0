"""A token as the page shows it: never its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.core import formatting
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from datetime import datetime

    from apps.users.models import Token


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token in the list."""

    key: str
    name: str
    hint: str
    tenant: str
    perm: str
    limits: str
    made: str
    expires: str
    used: str
    used_from: str
    tone: str
    word: str
    icon: str
    may_revoke: bool


def token_label(token: Token, *, at: datetime) -> StateLabel:
    """Return in words whether a token is good."""
    if token.revoked_at is not None:
        return StateLabel("idle", "revoked", "off")
    if token.expires_at is not None and token.expires_at <= at:
        return StateLabel("idle", "expired", "off")
    return StateLabel("ok", "good") if token.tenant.is_open else StateLabel("idle", "tenant disabled", "off")


def limits_text(token: Token) -> str:
    """`part signer; miners f01000; methods Gateway.*`."""
    parts = [
        ("parts", token.scopes),
        ("methods", token.methods),
        ("miners", [str(id_address(actor_id)) for actor_id in token.miners]),
        ("signers", [formatting.shortened(address) for address in token.signers]),
    ]
    told = [(name if len(values) > 1 else name[:-1], values) for name, values in parts if values]
    return "; ".join(f"{name} {', '.join(values)}" for name, values in told) or "no limit"


def token_row(token: Token, *, at: datetime, may_revoke: bool) -> TokenRow:
    """Lay out one token."""
    word = token_label(token, at=at)
    return TokenRow(
        key=str(token.pk),
        name=token.name,
        hint=f"…{token.hint}",
        tenant=token.tenant.name,
        perm=f"{token.perm}, all tenants" if token.is_operator else token.perm,
        limits=limits_text(token),
        made=str(time_html(token.created_at)),
        expires=str(time_html(token.expires_at)) if token.expires_at else "never",
        used=str(time_html(token.last_used_at)) if token.last_used_at else "never",
        used_from=token.last_used_from,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        may_revoke=may_revoke and token.revoked_at is None,
    )
