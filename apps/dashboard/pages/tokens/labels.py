"""A token's state, parts and limits in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import clauses_text, list_text
from apps.dashboard.labels import StateLabel
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from datetime import datetime

    from apps.users.models import Token


def token_label(token: Token, *, at: datetime) -> StateLabel:
    """Return in words whether a token is good."""
    if token.revoked_at is not None:
        return StateLabel("idle", _("revoked"), "off")
    if token.joined_uid:
        return StateLabel("idle", _("used"), "off")
    if token.expires_at is not None and token.expires_at <= at:
        return StateLabel("idle", pgettext_lazy("token", "expired"), "off")
    return (
        StateLabel("ok", _("valid"))
        if token.tenant.is_open
        else StateLabel("idle", _("tenant disabled"), "off")
    )


def part_text(token: Token) -> str:
    """`join a sealer, used by host-3f2a`: what a join token is for, and who used it."""
    return f"join a {token.joins}" + (
        gettext(", used by {joined_uid}").format(joined_uid=token.joined_uid) if token.joined_uid else ""
    )


def limits_text(token: Token) -> str:
    """`component signer; methods Gateway.*; miners f01000`."""
    joins = [part_text(token)] if token.joins else []
    parts = [
        ("components", [] if token.joins else token.scopes),
        ("methods", token.methods),
        ("miners", [str(id_address(actor_id)) for actor_id in token.miners]),
        ("signers", [formatting.shortened(address) for address in token.signers]),
    ]
    limits = [(name if len(values) > 1 else name[:-1], values) for name, values in parts if values]
    return clauses_text([*joins, *(f"{name} {list_text(values)}" for name, values in limits)]) or gettext(
        "no limit"
    )
