"""Writing accounts: tenants, people, tokens, grants and the audit log."""

from __future__ import annotations

import base64
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from redis.exceptions import RedisError

from apps.core import clock
from apps.core.redis_clients import redis_client
from apps.users.errors import (
    BadGrant,
    BadLimit,
    BadPerm,
    PersonNameTaken,
    PoolTenantKept,
    TenantNameTaken,
    WeakPassword,
)
from apps.users.models import (
    AccountApproval,
    AuditEntry,
    MinerGrant,
    RateLimit,
    SignerGrant,
    Tenant,
    Token,
    User,
)
from apps.users.operator_file import operator_password_remove
from apps.users.selectors import USE_NOTED_EVERY, address_canonical, audit_hash, token_digest
from apps.users.states import PERMS, Role
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.jwt import Claims, token_sign

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.users.principals import Principal
    from poolsite.filecoin.address import Address

log = structlog.get_logger(__name__)

SECRET_BYTES: Final = 32
"""Every token has a secret of its own; it is forgotten once the text is made."""
SIGNER_PROTOCOLS: Final = (1, 3, 4)
"""Address protocols that are keys: secp256k1, BLS, delegated."""
ACCESS_CHANGES: Final = "access:changes"
"""Channel in Redis with a word for every revocation; `apps.users.access` listens."""
AUDIT_LOCK: Final = 0x706F6F6C
"""Advisory lock under which the chain of audit entries grows, one at a time."""
AUDIT_LAST: Final = "SELECT entry_hash FROM users_auditentry ORDER BY id DESC LIMIT 1"


@transaction.atomic
def tenant_create(*, name: str, comment: str = "", enabled: bool = True) -> Tenant:
    """Create a tenant; a deleted one of this name comes back without grants.  Raises TenantNameTaken."""
    old = Tenant.objects.select_for_update().filter(name=name).first()
    if old is not None and old.deleted_at is None:
        raise TenantNameTaken(name)
    tenant = old if old is not None else Tenant(name=name)
    if old is not None:  # the name is taken up anew: other id, other time
        tenant.uuid, tenant.created_at = uuid.uuid4(), clock.now()
    tenant.comment, tenant.enabled, tenant.deleted_at = comment, enabled, None
    try:
        with transaction.atomic():
            tenant.save()
    except IntegrityError:  # somebody else made it between our look and our write
        raise TenantNameTaken(name) from None
    return tenant


@transaction.atomic
def tenant_update(*, tenant: Tenant, comment: str | None = None, enabled: bool | None = None) -> Tenant:
    """Change what is given; a disabled tenant's tokens are refused from the next request on.

    Raises PoolTenantKept for disabling the tenant of the operators, which would shut everybody out.
    """
    row = Tenant.objects.select_for_update().get(pk=tenant.pk)
    if enabled is False and row.people.filter(role=Role.OPERATOR).exists():
        raise PoolTenantKept(row.name)
    row.comment = row.comment if comment is None else comment
    row.enabled = row.enabled if enabled is None else enabled
    row.save()
    access_change_publish()
    return row


@transaction.atomic
def user_create(
    *, username: str, password: str, tenant: Tenant | None, role: str = Role.TENANT, must_change: bool = False
) -> User:
    """Create a person who can log in.  Raises PersonNameTaken, WeakPassword."""
    if User.objects.filter(username=username).exists():
        raise PersonNameTaken(username)
    person = User(username=username, tenant=tenant, role=role, must_change_password=must_change)
    password_check(password, person)
    person.set_password(password)
    person.save()
    return person


@transaction.atomic
def user_set_password(*, user: User, password: str, must_change: bool = False) -> None:
    """Set a person's password.  Raises WeakPassword."""
    password_check(password, user)
    user.set_password(password)
    user.must_change_password = must_change
    user.save(update_fields=["password", "must_change_password"])


@transaction.atomic
def password_change(*, user: User, new_password: str) -> None:
    """Set the password that a person chose; the generated one leaves operator.json.  Raises WeakPassword."""
    user_set_password(user=user, password=new_password)
    name = user.get_username()
    transaction.on_commit(lambda: operator_password_remove(settings.VAR / "operator.json", username=name))


def password_check(password: str, user: User) -> None:
    """Check a password against the validators of the settings.  Raises WeakPassword."""
    try:
        validate_password(password, user)
    except ValidationError as exc:
        raise WeakPassword(exc.messages) from None


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a token is limited to within its level; nothing named is no limit."""

    methods: Sequence[str] = ()
    miners: Sequence[int] = ()
    signers: Sequence[str] = ()


NO_LIMITS: Final = TokenLimits()


@transaction.atomic
def token_issue(
    *,
    tenant: Tenant,
    name: str,
    perm: str,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
    is_operator: bool = False,
    ext: str = "",
    limits: TokenLimits = NO_LIMITS,
) -> str:
    """Create a token and return its text, which nobody can read again.  Raises BadPerm.

    The text is a JWT with the claims of sophon-auth (`name` is the tenant's), signed with a secret
    that is thrown away: a token is good because its row is there.
    """
    if perm not in PERMS:
        raise BadPerm(perm)
    secret = secrets.token_bytes(SECRET_BYTES)
    text = token_sign(Claims(name=tenant.name, perm=perm, ext=ext), secret)
    token_record(
        text, tenant=tenant, name=name, perm=perm, scopes=scopes, expires_at=expires_at,
        is_operator=is_operator, ext=ext, methods=list(limits.methods), miners=list(limits.miners),
        signers=list(limits.signers),
    )  # fmt: skip
    return text


def token_record(text: str, *, tenant: Tenant, perm: str, **data: Any) -> Token:
    """Create the row of a token whose text exists: issued here, or imported."""
    data["scopes"] = list(data.get("scopes") or ())
    return Token.objects.create(tenant=tenant, perm=perm, digest=token_digest(text), hint=text[-8:], **data)


def token_revoke(token: Token) -> None:
    """Revoke a token from the next request on; its open sockets are closed by their process."""
    Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now())
    access_change_publish()


def access_change_publish() -> None:
    """Publish that somebody's access changed: every process checks its open sockets at once.

    Without Redis they notice at their regular check, and the next request is refused in any case.
    """

    def send() -> None:
        try:
            redis_client().publish(ACCESS_CHANGES, "check")
        except RedisError as error:
            log.warning("access_change_not_published", reason=str(error))

    transaction.on_commit(send)


def token_restore(token: Token) -> None:
    """Undo a revocation."""
    Token.objects.filter(pk=token.pk).update(revoked_at=None)


def token_use_record(token: Token, *, now: datetime, source: str) -> None:
    """Note a use, at most once in `USE_NOTED_EVERY`."""
    if token.last_used_at is None or now - token.last_used_at >= USE_NOTED_EVERY:
        Token.objects.filter(pk=token.pk).update(last_used_at=now, last_used_from=source[:64])


@transaction.atomic
def miner_grant(*, tenant: Tenant, actor_id: int, open_mining: bool = True) -> bool:
    """Grant a miner to a tenant, revoking any other grant.  True if nobody had it."""
    grant = MinerGrant.objects.select_for_update().filter(actor_id=actor_id).first()
    if grant is None:
        MinerGrant.objects.create(actor_id=actor_id, tenant=tenant, open_mining=open_mining)
        return True
    was_free = grant.deleted_at is not None
    grant.tenant, grant.open_mining, grant.deleted_at = tenant, open_mining, None
    grant.save()
    return was_free


def miner_grant_revoke(*, actor_id: int) -> bool:
    """Revoke the grant of a miner.  False if nobody had it."""
    free = MinerGrant.objects.filter(actor_id=actor_id, deleted_at=None)
    return bool(free.update(deleted_at=clock.now(), updated_at=clock.now()))


@transaction.atomic
def signer_grant(*, tenant: Tenant, address: Address | str) -> SignerGrant:
    """Grant a tenant the use of this sender; safe to repeat.

    Raises BadGrant unless the address is a key, BadAddress unless it is an address.
    """
    parsed = address_parse(address) if isinstance(address, str) else address
    if parsed.protocol not in SIGNER_PROTOCOLS:
        raise BadGrant(f"invalid protocol type: {parsed.protocol}", field="address")
    grant, made = SignerGrant.objects.get_or_create(address=address_canonical(parsed), tenant=tenant)
    if not made and grant.deleted_at is not None:
        grant.deleted_at = None
        grant.save()
    return grant


def signer_grant_revoke(*, tenant: Tenant | None, address: Address | str) -> bool:
    """Revoke the grant of an address, of one tenant or of all.  False if it was not granted."""
    grants = SignerGrant.objects.filter(address=address_canonical(address), deleted_at=None)
    if tenant is not None:
        grants = grants.filter(tenant=tenant)
    return bool(grants.update(deleted_at=clock.now(), updated_at=clock.now()))


def account_approve(*, signer_tenant: Tenant, account: Tenant) -> None:
    """Approve that the signers of one tenant serve another; safe to repeat."""
    AccountApproval.objects.update_or_create(
        signer_tenant=signer_tenant, account=account, defaults={"approved_at": clock.now()}
    )


def account_approval_revoke(*, signer_tenant: Tenant, account: Tenant) -> None:
    """Revoke that approval."""
    AccountApproval.objects.filter(signer_tenant=signer_tenant, account=account).delete()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What somebody did to which object; `before` and `after` name what changed."""

    principal: Principal
    action: str
    target: str
    before: Any = None
    after: Any = None


def audit_record(
    *, principal: Principal, action: str, target: str, before: Any = None, after: Any = None
) -> AuditEntry:
    """Add one line to the audit log, chained to the line before it."""
    act = AuditEvent(principal=principal, action=action, target=target, before=before, after=after)
    return audit_entries_record([act])[0]


@transaction.atomic(savepoint=False)
def audit_entries_record(acts: Sequence[AuditEvent]) -> list[AuditEntry]:
    """Add a line for each act with one insert; each is chained to the line before it."""
    if not acts:
        return []
    with connection.cursor() as cursor:
        # Two statements: one would have looked for the last line before it waited for the lock.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [AUDIT_LOCK])
        cursor.execute(AUDIT_LAST)
        last = cursor.fetchone()
    previous, entries, at = last[0] if last else "", [], clock.now()
    for act in acts:
        entry = AuditEntry(
            at=at,
            actor=act.principal.actor[:200],
            tenant_id=act.principal.tenant_id,
            source=act.principal.source[:64],
            action=act.action,
            target=act.target[:200],
            before=act.before,
            after=act.after,
            previous_hash=previous,
        )
        previous = entry.entry_hash = audit_hash(entry)
        entries.append(entry)
    return AuditEntry.objects.bulk_create(entries)


def password_generate() -> str:
    """Generate a password that is easy to type: 15 random bytes in base 32."""
    return base64.b32encode(secrets.token_bytes(15)).decode().lower()


@transaction.atomic
def tenant_delete(*, tenant: Tenant) -> None:
    """Mark a tenant deleted and revoke its grants; its tokens and people are refused from then on.

    Raises PoolTenantKept for the tenant that the pool itself belongs to.
    """
    if tenant.people.filter(role=Role.OPERATOR).exists():
        raise PoolTenantKept(tenant.name)
    now = clock.now()
    MinerGrant.objects.filter(tenant=tenant, deleted_at=None).update(deleted_at=now, updated_at=now)
    SignerGrant.objects.filter(tenant=tenant, deleted_at=None).update(deleted_at=now, updated_at=now)
    Tenant.objects.filter(pk=tenant.pk).update(deleted_at=now, updated_at=now)
    access_change_publish()


def tenant_restore(*, tenant: Tenant) -> None:
    """Restore a deleted tenant, without its miners and signers."""
    Tenant.objects.filter(pk=tenant.pk).update(deleted_at=None, updated_at=clock.now())


@transaction.atomic
def rate_limit_set(
    *, tenant: Tenant, capacity: int, reset_ns: int, service: str = "", api: str = "", limit_id: str = ""
) -> RateLimit:
    """Create a limit, or change the one with this id.  Raises BadLimit."""
    if capacity < 0 or reset_ns < 0 or (capacity and not reset_ns):
        raise BadLimit("a limit needs a capacity of at least 0 and a time to reset above 0")
    fields = {"tenant": tenant, "capacity": capacity, "reset_ns": reset_ns, "service": service, "api": api}
    if not limit_id:
        return RateLimit.objects.create(**fields)
    row, _ = RateLimit.objects.update_or_create(uuid=limit_id, defaults=fields)
    return row


def rate_limit_delete(*, tenant: Tenant, limit_id: str) -> bool:
    """Remove a limit.  False if there was none."""
    return bool(RateLimit.objects.filter(tenant=tenant, uuid=limit_id).delete()[0])
