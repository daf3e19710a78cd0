"""Reading accounts: who a token or a person is, what a tenant owns."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib.sessions.models import Session
from django.db.models import Count, F, Max, Q, QuerySet
from django.utils.translation import gettext

from apps.users.errors import TenantUnknown, TokenRefused
from apps.users.models import (
    AccountApproval,
    AuditEntry,
    MinerGrant,
    Passkey,
    RateLimit,
    SignerGrant,
    Tenant,
    Token,
    TotpDevice,
    User,
)
from apps.users.principals import Principal
from apps.users.states import ROLE_PERMS, Role, perms_up_to
from poolsite.filecoin.address import address_format, address_parse

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from poolsite.filecoin.address import Address

USE_NOTED_EVERY: Final = timedelta(minutes=1)
"""How exact a token's last use is; a write per request would cost more than it tells."""


def token_digest(token: str) -> str:
    """Return what we keep of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


TENANT_COLUMNS: Final = [field.attname for field in Tenant._meta.concrete_fields]
TOKEN_OF: Final = (
    "SELECT token.*, "  # noqa: S608
    + ", ".join(f"tenant.{name} AS tenant_{name}" for name in TENANT_COLUMNS)
    + f" FROM {Token._meta.db_table} token JOIN {Tenant._meta.db_table} tenant ON tenant.id = token.tenant_id"
    " WHERE token.digest = %s"
)
"""Written out: every request asks for it, and to compile the query takes longer than to run it."""


def token_by_text(token: str) -> Token | None:
    """Find the row of a token, good or not."""
    row = next(iter(Token.objects.raw(TOKEN_OF, [token_digest(token)])), None)
    if row is not None:
        values = [getattr(row, f"tenant_{name}") for name in TENANT_COLUMNS]
        row.tenant = Tenant.from_db("default", TENANT_COLUMNS, values)
    return row


def principal_of_token(row: Token, *, now: datetime, source: str = "") -> Principal:
    """Check a token's row and turn it into who holds it.  Raises TokenRefused."""
    if row.revoked_at is not None:
        raise TokenRefused(gettext("this token was revoked"))
    if row.expires_at is not None and row.expires_at <= now:
        raise TokenRefused(gettext("this token has expired"))
    if not row.tenant.is_open:
        raise TokenRefused(gettext("this token's account is disabled"))
    return Principal(
        tenant_id=row.tenant_id,
        tenant_name=row.tenant.name,
        is_operator=row.is_operator,
        perm=row.perm,
        scopes=tuple(row.scopes),
        actor=f"token {row.tenant.name}/{row.name}",
        token_id=str(row.uuid),
        source=source,
        methods=tuple(row.methods),
        miners=tuple(row.miners),
        signers=tuple(row.signers),
    )


def principal_of(user: User, *, source: str = "") -> Principal:
    """Return who a person is to the pool; a person without a tenant who is no operator sees nothing.

    Raises TokenRefused if the person's tenant is disabled.
    """
    if user.tenant is not None and not user.tenant.is_open:
        raise TokenRefused(gettext("this account is disabled"))
    is_operator = user.role == Role.OPERATOR
    return Principal(
        tenant_id=user.tenant_id,
        tenant_name=user.tenant.name if user.tenant is not None else "",
        is_operator=is_operator,
        perm=ROLE_PERMS.get(user.role, ""),
        actor=user.get_username(),
        source=source,
    )


def tokens_refused(ids: Collection[str], *, now: datetime) -> set[str]:
    """Return those of these tokens that are no longer good."""
    good = Token.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now),
        pk__in=ids,
        revoked_at=None,
        tenant__enabled=True,
        tenant__deleted_at=None,
    )
    return set(ids) - {str(pk) for pk in good.values_list("pk", flat=True)}


def tokens_outdated(
    held: Collection[tuple[str, tuple[int, ...]]], *, now: datetime
) -> set[tuple[str, tuple[int, ...]]]:
    """Return those of these tokens, each with its miners, that were changed since or are not valid."""
    refused = tokens_refused({key for key, _ in held}, now=now)
    miners = {str(row.pk): tuple(row.miners) for row in Token.objects.filter(pk__in={key for key, _ in held})}
    return {(key, limit) for key, limit in held if key in refused or miners.get(key) != limit}


def tokens_with_digests(digests: Collection[str]) -> list[str]:
    """Return the ids of the tokens with these digests, good or not."""
    return [str(pk) for pk in Token.objects.filter(digest__in=digests).values_list("pk", flat=True)]


def tenants_visible(viewer: Principal) -> QuerySet[Tenant]:
    """Return the tenants that this caller may know of."""
    tenants = Tenant.objects.filter(deleted_at=None).order_by("name")
    return tenants if viewer.is_operator else tenants.filter(pk=viewer.own_id)


def operator_tenants() -> QuerySet[Tenant]:
    """Return the tenants under whose names operators and their programs act."""
    people = User.objects.filter(role=Role.OPERATOR).exclude(tenant=None).values("tenant")
    return Tenant.objects.filter(
        Q(pk__in=people) | Q(pk__in=Token.objects.filter(is_operator=True).values("tenant"))
    )


def tenants_listed(viewer: Principal, *, limit: int) -> list[Tenant]:
    """Return the same for a page, with how many miners, signers and people each has."""
    rows = tenants_visible(viewer).annotate(
        miners_count=Count("miner_grants", filter=Q(miner_grants__deleted_at=None), distinct=True),
        signers_count=Count("signer_grants", filter=Q(signer_grants__deleted_at=None), distinct=True),
        people_count=Count("people", distinct=True),
        rates_count=Count("rate_limits", distinct=True),
    )
    return list(rows[:limit])


def tokens_visible(viewer: Principal) -> QuerySet[Token]:
    """Return the tokens that this caller may know of, those never above its own level."""
    tokens = Token.objects.select_related("tenant").order_by("created_at")
    if viewer.is_operator:
        return tokens
    return tokens.filter(tenant_id=viewer.own_id, perm__in=perms_up_to(viewer.perm), is_operator=False)


def tokens_listed(viewer: Principal, *, limit: int) -> list[Token]:
    """Return the same for a page: those that are good first, then the newest."""
    rows = tokens_visible(viewer).order_by(F("revoked_at").desc(nulls_first=True), "-created_at")
    return list(rows[:limit])


def tokens_valid() -> QuerySet[Token]:
    """Return the tokens that were not revoked, the oldest first."""
    return Token.objects.select_related("tenant").filter(revoked_at=None).order_by("created_at")


def tokens_of_tenant(name: str, *, up_to: str | None = None) -> QuerySet[Token]:
    """Return those of one tenant; with a level those alone that are a tenant's own and not above it."""
    tokens = tokens_valid().filter(tenant__name=name)
    return tokens if up_to is None else tokens.filter(perm__in=perms_up_to(up_to), is_operator=False)


def token_like(*, tenant: str, perm: str, hint: str) -> Token | None:
    """Find a token by what listings show of it; None unless it is the only one."""
    rows = Token.objects.select_related("tenant").filter(tenant__name=tenant, perm=perm, hint=hint)
    return rows.first() if rows.count() == 1 else None


def people_visible(viewer: Principal) -> QuerySet[User]:
    """Return the people that this caller may know of."""
    people = User.objects.select_related("tenant").order_by("username")
    return people if viewer.is_operator else people.filter(tenant_id=viewer.own_id)


def people_listed(viewer: Principal) -> QuerySet[User]:
    """Return the same with what a list shows: sessions, last sight, app and passkeys."""
    return people_visible(viewer).annotate(
        sessions_count=Count("sessions", distinct=True),
        last_seen=Max("sessions__seen_at"),
        apps_count=Count("totp", filter=Q(totp__confirmed_at__isnull=False), distinct=True),
        passkeys_count=Count("passkeys", distinct=True),
    )


def tenant_find(name: str, *, is_deleted_too: bool = False) -> Tenant | None:
    """Find a tenant."""
    tenants = Tenant.objects.filter(name=name)
    return (tenants if is_deleted_too else tenants.filter(deleted_at=None)).first()


def totp_confirmed(user: User) -> TotpDevice | None:
    """Return the person's authenticator app; None before its first code."""
    return TotpDevice.objects.filter(user=user, confirmed_at__isnull=False).first()


def totp_waiting(user: User) -> TotpDevice | None:
    """Return the app that waits for its first code."""
    return TotpDevice.objects.filter(user=user, confirmed_at=None).first()


def passkeys_of(user: User) -> QuerySet[Passkey]:
    """Return the person's passkeys, oldest first."""
    return Passkey.objects.filter(user=user).order_by("created_at")


def sessions_decoded(keys: Collection[str], *, now: datetime) -> dict[str, dict[str, Any]]:
    """Return what these browser sessions hold; those that are over are left out."""
    rows = Session.objects.filter(session_key__in=keys, expire_date__gt=now)
    return {row.session_key: row.get_decoded() for row in rows}


def tenant_by_name(name: str) -> Tenant:
    """Find a tenant that was not deleted.  Raises TenantUnknown."""
    tenant = tenant_find(name)
    if tenant is None:
        raise TenantUnknown(name)
    return tenant


def address_canonical(address: Address | str) -> str:
    """Write an address as the rows keep it: with `f`, whatever prefix it came with.  Raises BadAddress."""
    return address_format(address_parse(address) if isinstance(address, str) else address, prefix="f")


def signer_granted(*, tenant_id: int, address: Address | str) -> bool:
    """Return whether this tenant may have messages signed for this address."""
    key = address_canonical(address)
    return SignerGrant.objects.filter(tenant_id=tenant_id, address=key, deleted_at=None).exists()


def sender_known(address: Address | str) -> bool:
    """Return whether any tenant was granted this address."""
    return SignerGrant.objects.filter(address=address_canonical(address), deleted_at=None).exists()


def signers_of(viewer: Principal) -> QuerySet[SignerGrant]:
    """Return the signer grants that this caller may know of."""
    grants = SignerGrant.objects.select_related("tenant").filter(deleted_at=None).order_by("created_at", "pk")
    return grants if viewer.is_operator else grants.filter(tenant_id=viewer.own_id)


def miners_of(viewer: Principal) -> QuerySet[MinerGrant]:
    """Return the miner grants that this caller may know of."""
    grants = MinerGrant.objects.select_related("tenant").filter(deleted_at=None).order_by("created_at", "pk")
    return grants if viewer.is_operator else grants.filter(tenant_id=viewer.own_id)


def miner_grant_find(actor_id: int, *, is_revoked_too: bool = False) -> MinerGrant | None:
    """Find whose miner this is, with the tenant."""
    grants = MinerGrant.objects.select_related("tenant").filter(actor_id=actor_id)
    return (grants if is_revoked_too else grants.filter(deleted_at=None)).first()


def miners_of_tenant(name: str) -> QuerySet[MinerGrant]:
    """Return the miner grants of one tenant."""
    return MinerGrant.objects.filter(tenant__name=name, deleted_at=None).order_by("created_at", "pk")


def signers_of_tenant(name: str) -> QuerySet[SignerGrant]:
    """Return the signer grants of one tenant."""
    return SignerGrant.objects.filter(tenant__name=name, deleted_at=None).order_by("created_at", "pk")


def signer_grants(address: str) -> list[SignerGrant]:
    """Return the grants of one address, with their tenants."""
    grants = SignerGrant.objects.select_related("tenant").filter(address=address, deleted_at=None)
    return list(grants.order_by("created_at", "pk"))


def signer_grant_revoked(*, tenant: Tenant, address: str) -> bool:
    """Return whether this tenant had the address and has it no more."""
    return SignerGrant.objects.filter(tenant=tenant, address=address, deleted_at__isnull=False).exists()


def rate_limits_of(name: str) -> QuerySet[RateLimit]:
    """Return how much one tenant may ask for."""
    return RateLimit.objects.select_related("tenant").filter(tenant__name=name).order_by("created_at")


def miner_granted(*, tenant_id: int, actor_id: int) -> bool:
    """Return whether this miner belongs to this tenant."""
    return MinerGrant.objects.filter(tenant_id=tenant_id, actor_id=actor_id, deleted_at=None).exists()


def miner_owner(*, actor_id: int) -> str:
    """Name the tenant that this miner belongs to now; empty if it is nobody's."""
    grants = MinerGrant.objects.filter(actor_id=actor_id, deleted_at=None)
    return grants.values_list("tenant__name", flat=True).first() or ""


def miners_owners(actor_ids: Collection[int]) -> dict[int, int]:
    """Return the tenant of each of these miners that has one, by its number."""
    grants = MinerGrant.objects.filter(actor_id__in=actor_ids, deleted_at=None)
    return dict(grants.values_list("actor_id", "tenant_id"))


def accounts_missing(names: Collection[str]) -> list[str]:
    """Return those of `names` that are no tenant, or a disabled one, in the order asked."""
    open_names = set(
        Tenant.objects.filter(name__in=names, enabled=True, deleted_at=None).values_list("name", flat=True)
    )
    return [name for name in names if name not in open_names]


def approvals_visible(viewer: Principal) -> QuerySet[AccountApproval]:
    """Return the requests of signers to serve an account, granted or open, that this caller may know of."""
    rows = AccountApproval.objects.select_related("signer_tenant", "account").order_by("created_at")
    return rows if viewer.is_operator else rows.filter(account_id=viewer.own_id)


def approval_of(*, signer_tenant: Tenant, account: Tenant) -> AccountApproval:
    """Return whether an account is served by a tenant's signers, an unsaved row if nobody has asked."""
    pair = {"signer_tenant": signer_tenant, "account": account}
    return AccountApproval.objects.filter(**pair).first() or AccountApproval(**pair)


def accounts_refused(*, signer_tenant_id: int, names: Collection[str]) -> list[str]:
    """Return those of `names` that have not agreed to be served by the signers of this tenant."""
    agreed = Q(pk=signer_tenant_id) | Q(
        pk__in=AccountApproval.objects.filter(
            signer_tenant_id=signer_tenant_id, approved_at__isnull=False
        ).values("account_id")
    )
    known = set(Tenant.objects.filter(agreed, name__in=names).values_list("name", flat=True))
    return [name for name in names if name not in known]


def users_active(pks: Collection[int]) -> QuerySet[User]:
    """Return those of these people who may still sign in."""
    return User.objects.select_related("tenant").filter(pk__in=pks, is_active=True)


def audit_visible(viewer: Principal) -> QuerySet[AuditEntry]:
    """Return the lines of the audit log that this caller may read, newest first."""
    rows = AuditEntry.objects.select_related("tenant").order_by("-pk")
    return rows if viewer.is_operator else rows.filter(tenant_id=viewer.own_id)


def audit_hash(entry: AuditEntry) -> str:
    """Compute what an entry's hash must be."""
    fields = [
        entry.previous_hash,
        entry.at.astimezone(UTC).isoformat(),
        entry.actor,
        entry.tenant_id,
        entry.source,
        entry.action,
        entry.target,
        entry.before,
        entry.after,
    ]
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
