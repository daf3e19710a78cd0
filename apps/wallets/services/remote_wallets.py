"""Wallets that the pool connects to: added, switched off and on, removed; held by one process each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from apps.chain.errors import BadNodeAddress
from apps.chain.node.addresses import node_address
from apps.chain.node.public_hosts import is_private_literal
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason
from apps.users.models import Tenant
from apps.users.rules.encryption import text_encrypt
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.wallets.models import RemoteWallet
from apps.wallets.selectors import remote_wallet_get

HELD: Final = timedelta(seconds=15)
"""A wallet whose process has not renewed its hold for so long is free, by the database's clock."""
WALLETS_MAX: Final = 20
"""Of one tenant: each has threads of its own in a web process."""
NAME_MAX: Final = 60
URL_MAX: Final = 500
PATH: Final = "/rpc/v0"
"""Path of a wallet's API; a node's is /rpc/v1."""


@transaction.atomic
def remote_wallet_add(
    *, principal: Principal, tenant: Tenant, name: str, url: str, token: str
) -> RemoteWallet:
    """Add a wallet of a tenant, to which the pool connects within seconds.

    `url` is a URL or a multiaddress, as programs of the field write it, also behind its token.  What a tenant
    names must be public; an operator may name a private address.

    Raises NotAllowed, Conflict, and BadValue naming the field.
    """
    if principal.is_limited or not principal.may("admin"):
        raise NotAllowed(gettext("this requires the level 'admin', without limits"))
    name = name.strip()
    if not 0 < len(name) <= NAME_MAX:
        raise BadValue(gettext("must have 1 to {most} characters").format(most=NAME_MAX), field="name")
    if len(url) > URL_MAX:
        raise BadValue(gettext("must be at most {most} characters").format(most=URL_MAX), field="url")
    try:
        address = node_address(url, token=token.strip(), field="url")
    except BadNodeAddress as error:
        raise BadValue(error.reason, field=error.field or "url") from None
    place = address.http_url.removesuffix("/rpc/v1").removesuffix(PATH) + PATH
    parts = urlsplit(place)
    if "@" in parts.netloc:  # it would be sent nowhere, and shown to everybody who sees the URL
        raise BadValue(gettext("must not contain a name or password: give the token apart"), field="url")
    if not principal.is_operator and is_private_literal(parts.hostname or ""):
        raise BadValue(gettext("its host has no public address"), field="url")
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)  # two at once would pass both checks
    others = RemoteWallet.objects.filter(tenant=tenant)
    if others.filter(name=name).exists():
        raise Conflict(gettext("{tenant} has a wallet of this name").format(tenant=tenant.name), field="name")
    if others.count() >= WALLETS_MAX:
        text = gettext("{tenant} has {most} wallets already, the maximum")
        raise Conflict(text.format(tenant=tenant.name, most=WALLETS_MAX))
    row = RemoteWallet.objects.create(
        tenant=tenant,
        name=name,
        url=place,
        token=text_encrypt(address.token),
        is_private=principal.is_operator,
    )
    _audit(principal, "remote-wallet.add", row, before=None, after={"url": place, "tenant": tenant.name})
    return row


@transaction.atomic
def remote_wallet_set(*, principal: Principal, uuid: UUID, is_enabled: bool) -> RemoteWallet:
    """Switch a wallet on or off; while it is off none of its keys signs.  Raises NotFound."""
    row = remote_wallet_get(principal, uuid, for_update=True)
    if row.is_enabled != is_enabled:
        before, row.is_enabled, row.error = row.is_enabled, is_enabled, ""
        row.save(update_fields=["is_enabled", "error", "updated_at"])
        _audit(
            principal,
            "remote-wallet.set",
            row,
            before={"is_enabled": before},
            after={"is_enabled": is_enabled},
        )
    return row


@transaction.atomic
def remote_wallet_remove(*, principal: Principal, uuid: UUID) -> None:
    """Delete a wallet and its token; grants of its keys stay.  Raises NotFound."""
    row = remote_wallet_get(principal, uuid, for_update=True)
    _audit(principal, "remote-wallet.remove", row, before={"url": row.url}, after=None)
    row.delete()


def remote_wallets_acquire(*, process: str) -> list[RemoteWallet]:
    """Return the wallets that this process is to be connected to: its own, and those that nobody holds."""
    free = Q(process=process) | Q(held_until=None) | Q(held_until__lt=Now())
    # No join: then the update would decide by what it read before it waited for another process'.
    rows = RemoteWallet.objects.filter(is_enabled=True, tenant__in=Tenant.objects.filter(enabled=True))
    # In the database's time, so that no process' clock decides; without `updated_at`, which tells of changes.
    rows.filter(free).update(process=process, held_until=Now() + HELD)
    return list(rows.filter(process=process, held_until__gt=Now()).select_related("tenant"))


@transaction.atomic
def remote_wallet_note(
    *, pk: int, connection: str | None, error: Reason | str, has_answered: bool, now: datetime
) -> None:
    """Store a wallet's connection and error; changes are published to pages."""
    values: dict[str, Any] = {"connection": connection, "error": error}
    changed = RemoteWallet.objects.filter(pk=pk).exclude(
        connection=connection, error=error, error_coded__isnull=not isinstance(error, Reason)
    )
    if changed.update(**values):
        tenant_id = RemoteWallet.objects.filter(pk=pk).values_list("tenant_id", flat=True).first()
        publish(Change("signer", str(pk), tenant_id))
    if has_answered:
        RemoteWallet.objects.filter(pk=pk).update(answered_at=now)


def _audit(principal: Principal, action: str, row: RemoteWallet, *, before: Any, after: Any) -> None:
    audit_record(principal=principal, action=action, target=row.name, before=before, after=after)
