"""Rows of connections: opened, confirmed, closed, with keys and accounts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from apps.core import clock
from apps.core.live import Change, publish
from apps.core.sanitize import sanitize_text
from apps.gateway.hub.activity import Activity
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.gateway.selectors.connections import ALIVE_S
from apps.users.models import AccountApproval, SignerGrant, Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.approvals import accounts_refused
from apps.users.services.grants import signer_grant
from poolsite.wire.key_labels import LABEL_MAX

log = structlog.get_logger(__name__)

SIGNED_PROTOCOLS: Final = frozenset("134")
"""Kinds of addresses that are keys."""

NO_LABELS: Final[Mapping[str, str]] = {}
RETENTION: Final = timedelta(days=30)
"""How long a connection is kept that was not seen again; each reconnect makes a row."""


@transaction.atomic
def signer_connection_open(
    *, uuid: str, principal: Principal, accounts: Sequence[str], process: str, source: str
) -> SignerConnection:
    """Write down a wallet's channel; pages hear of it with its keys."""
    now = clock.now()
    return SignerConnection.objects.create(
        uuid=uuid,
        tenant_id=principal.own_id,
        token=principal.token_id or None,
        accounts=list(accounts),
        process=process,
        source=source,
        created_at=now,
        seen_at=now,
    )


@transaction.atomic
def prover_connection_open(
    *, uuid: str, principal: Principal, actor_id: int, purpose: str, process: str, source: str
) -> ProverConnection:
    """Write down a miner's channel."""
    now = clock.now()
    row = ProverConnection.objects.create(
        uuid=uuid,
        tenant_id=principal.own_id,
        token=principal.token_id or None,
        actor_id=actor_id,
        purpose=purpose,
        process=process,
        source=source,
        created_at=now,
        seen_at=now,
    )
    publish(Change("signer", str(row.uuid), principal.own_id))
    return row


@transaction.atomic
def accounts_claim(*, principal: Principal, names: Sequence[str]) -> list[str]:
    """Return those of `names` that this signer may serve; for the others, leave a request to be approved."""
    refused = set(accounts_refused(signer_tenant_id=principal.own_id, names=names))
    for account in Tenant.objects.filter(name__in=refused):
        AccountApproval.objects.get_or_create(signer_tenant_id=principal.own_id, account=account)
    return [name for name in names if name not in refused]


@transaction.atomic
def keys_add(
    *,
    connection_id: str,
    accounts: Collection[str],
    addresses: Collection[str],
    labels: Mapping[str, str] = NO_LABELS,
) -> None:
    """Write down keys that a connection proved, and let its own tenant use them, if it serves that.

    `labels`: what the signer calls them, by address; one that is not there has no label.

    Another tenant that it serves uses only keys that a person granted it: among all of a signer's keys is the
    owner's of its own tenant.  (Grants that an earlier version made for such a tenant stay; a check names
    them.)  An address that somebody took from the tenant stays taken: a signer comes back after every
    restart.  A key that others use already is granted to nobody by a tenant that never used it: its proof may
    come from a signer of theirs that dials two gateways, one of which passes the challenge on.
    """
    connection = SignerConnection.objects.select_related("tenant").get(pk=connection_id)
    now = clock.now()
    proved = sorted(set(addresses))
    SignerKey.objects.bulk_create(
        [
            SignerKey(
                address=address,
                tenant=connection.tenant,
                connection=connection,
                label=_label_clean(labels.get(address, "")),
                verified_at=now,
            )
            for address in proved
        ],
        update_conflicts=True,
        unique_fields=["address", "tenant"],
        update_fields=["connection", "label", "verified_at", "removed_at"],
    )
    if connection.tenant.name in accounts and connection.tenant.deleted_at is None:
        grants = SignerGrant.objects.filter(address__in=proved, tenant=connection.tenant)
        # A returning signer has all of its grants already.
        known = set(grants.values_list("address", flat=True))
        served = Tenant.objects.filter(name__in=accounts, deleted_at=None)
        contested = _used_by_others(connection, proved, tenants=served)
        for address in sorted(contested):
            log.warning("signer_key_of_others", signer=connection.tenant.name, address=address)
        for address in proved:
            if address[1] in SIGNED_PROTOCOLS and address not in contested | known:
                signer_grant(tenant=connection.tenant, address=address)
    publish(Change("signer", str(connection.uuid), connection.tenant_id))


def _label_clean(label: str) -> str:
    """Return somebody else's name for a key as pages show it: on one line, and turning no text around."""
    shown = "".join(one if one.isprintable() else " " for one in sanitize_text(label))
    return " ".join(shown.split())[:LABEL_MAX]


def _used_by_others(
    connection: SignerConnection, addresses: Sequence[str], *, tenants: Iterable[Tenant]
) -> set[str]:
    """Return the addresses that other tenants than those served may use, and the signer's own never did."""
    grants = SignerGrant.objects.filter(address__in=addresses)
    others = grants.filter(deleted_at=None, tenant__deleted_at=None).exclude(
        tenant__in=[connection.tenant_id, *(tenant.pk for tenant in tenants)]
    )
    own = grants.filter(tenant=connection.tenant_id)
    return set(others.values_list("address", flat=True)) - set(own.values_list("address", flat=True))


def accounts_set(*, connection_id: str, accounts: Collection[str]) -> None:
    """Write down whom a connection serves now."""
    SignerConnection.objects.filter(pk=connection_id).update(accounts=sorted(accounts))


def keys_remove(*, connection_id: str, addresses: Collection[str]) -> None:
    """Write down keys that a signer gave up; what was granted for them stays."""
    keys = SignerKey.objects.filter(connection__pk=connection_id, address__in=list(addresses))
    keys.update(removed_at=clock.now())


def keys_assign(*, held: Mapping[str, Collection[str]], now: datetime) -> None:
    """Move keys whose connection ended or gave them up to open connections that hold them too.

    `held`: addresses by connection.  A row names one of the signers with a key, the hub asks all: while one
    of them is connected, the key counts as served.  A connection gets nothing back that it gave up itself.
    """
    ended = Q(connection=None) | Q(connection__closed_at__isnull=False)
    ended |= Q(removed_at__isnull=False) | Q(connection__seen_at__lte=now - ALIVE_S)
    keys = list(SignerKey.objects.filter(ended, address__in=set(chain.from_iterable(held.values()))))
    if not keys:
        return
    for holder in SignerConnection.objects.filter(pk__in=list(held), closed_at=None):
        mine = held[str(holder.pk)]
        pks = [
            key.pk
            for key in keys
            if key.tenant_id == holder.tenant_id and key.connection_id != holder.pk and key.address in mine
        ]
        if pks and SignerKey.objects.filter(ended, pk__in=pks).update(connection=holder, removed_at=None):
            publish(Change("signer", str(holder.pk), holder.tenant_id))


def connections_confirm(
    *, process: str, done: Mapping[str, Activity], held: Mapping[str, Collection[str]], now: datetime
) -> None:
    """Note that a process' connections are alive, what each did since then, and which keys it holds."""
    for model in (SignerConnection, ProverConnection):
        model.objects.filter(process=process, closed_at=None).update(seen_at=now)
        for pk, tenant_id in model.objects.filter(pk__in=list(done)).values_list("pk", "tenant_id"):
            model.objects.filter(pk=pk).update(**_activity_fields(done[str(pk)], now=now))
            publish(Change("connection", str(pk), tenant_id))
    keys_assign(held=held, now=now)


def _activity_fields(activity: Activity, *, now: datetime) -> dict[str, Any]:
    """Write what a connection did as an update of its row."""
    return {
        **({"failed_at": now} if activity.failures else {}),
        "requests": F("requests") + activity.requests,
        "failures": F("failures") + activity.failures,
        "in_flight": activity.in_flight,
        "p50_ms": activity.p50_ms,
        "p99_ms": activity.p99_ms,
        "last_failure": activity.last_failure,
    }


def connection_close(*, uuid: str, tenant_id: int, activity: Activity | None) -> None:
    """Write down the end of a connection."""
    now = clock.now()
    fields = _activity_fields(activity, now=now) if activity is not None else {}
    for model in (SignerConnection, ProverConnection):
        over = {**fields, "closed_at": now, "seen_at": now, "in_flight": 0}
        if model.objects.filter(pk=uuid).update(**over):
            break
    publish(Change("signer", uuid, tenant_id))


@transaction.atomic
def connections_expire(*, now: datetime, limit: int) -> int:
    """Delete connections that were not seen for `RETENTION`, the oldest of each kind first; returns how many.

    One to which a key refers stays: the key's row says who proved it last.
    """
    keys = SignerKey.objects.filter(connection=OuterRef("pk"))
    count = 0
    for rows in (SignerConnection.objects.filter(~Exists(keys)), ProverConnection.objects.all()):
        old = rows.filter(seen_at__lt=now - RETENTION).order_by("seen_at").values_list("pk", flat=True)
        count += rows.filter(pk__in=list(old[:limit])).delete()[0]
    return count
