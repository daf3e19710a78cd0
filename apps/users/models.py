"""Tenants, their people and tokens, what they own on the chain, and the audit log.

Source: ipfs-force-community/sophon-auth storage/store.go for what its clients see of these rows.
"""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from apps.core.fields import AddressField
from apps.users.states import Factor, Perm, Role


class Tenant(models.Model):
    """An account of the pool: owns miners, signers, people, tokens and messages."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    name = models.CharField(max_length=50, unique=True)
    """The `name` claim of the tenant's tokens and the account that signers serve."""
    comment = models.CharField(max_length=255, blank=True)
    enabled = models.BooleanField(default=True)
    """A disabled tenant's people and tokens are refused everywhere; its rows stay."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        """Whether its people and tokens are let in."""
        return self.enabled and self.deleted_at is None


class User(AbstractUser):
    """A person who logs in; what the person may do follows from the role and the tenant."""

    tenant = models.ForeignKey(Tenant, null=True, blank=True, on_delete=models.PROTECT, related_name="people")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.TENANT)
    must_change_password = models.BooleanField(default=False)
    """True while the password is the one that the console made up."""


class TotpDevice(models.Model):
    """A person's authenticator app: a secret that app and console share.

    Source: RFC 6238.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="totp")
    sealed_secret = models.CharField(max_length=255)
    """Base 32, encrypted with the site's key (`encryption.py`)."""
    created_at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    """When a first code was right; before that the app is not asked for."""
    last_step = models.BigIntegerField(default=0)
    """Time step of the last code that was taken: a code is good once."""

    def __str__(self) -> str:
        return f"authenticator app of {self.user.get_username()}"


class RecoveryCode(models.Model):
    """Lets a person in once, in place of a lost app or passkey; we keep its SHA-256."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "digest"], name="one_recovery_code_per_person_and_digest")
        ]

    def __str__(self) -> str:
        return f"recovery code of {self.user.get_username()}"


class Passkey(models.Model):
    """A WebAuthn credential: the private key stays in the person's device.

    Source: W3C Web Authentication Level 3, section 6.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="passkeys")
    name = models.CharField(max_length=60)
    """What the person calls it."""
    credential_id = models.CharField(max_length=1400, unique=True)
    """base64url; at most 1023 bytes by the standard."""
    public_key = models.BinaryField()
    """COSE."""
    sign_count = models.BigIntegerField(default=0)
    """Grows with each use where the device counts; a smaller one would be a copy's."""
    is_synced = models.BooleanField(default=False)
    """Whether the device's maker keeps a copy."""
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} of {self.user.get_username()}"


class PersonSession(models.Model):
    """A browser in which a person is signed in; it lasts as long as Django's session of this key."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    key = models.CharField(max_length=40, unique=True)
    """Key of Django's session."""
    device = models.CharField(max_length=200, blank=True)
    """What the browser calls itself."""
    source = models.CharField(max_length=64, blank=True)
    """Network address of its last request."""
    factor = models.CharField(max_length=16, choices=Factor.choices, default=Factor.PASSWORD)
    """How the person proved who they are."""
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user.get_username()} from {self.source}"


class Token(models.Model):
    """A program's key: the text is a JWT that only its holder has; we keep its SHA-256."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=100)
    """What the holder is called on pages and in the audit log."""
    perm = models.CharField(max_length=8, choices=Perm.choices)
    scopes = models.JSONField(default=list, blank=True)
    """Scopes of the machine interface that it is limited to, e.g. `["signer"]`; empty: no limit."""
    methods = models.JSONField(default=list, blank=True)
    """Patterns of what it may call, e.g. `["Gateway.*", "rest.MinersView"]`; empty: no limit."""
    miners = models.JSONField(default=list, blank=True)
    """Actor ids of the miners that it sees and addresses; empty: all of its tenant."""
    signers = models.JSONField(default=list, blank=True)
    """Addresses for which it may have something signed; empty: all of its tenant."""
    ext = models.CharField(max_length=255, blank=True)
    """The `ext` claim, free text of sophon-auth."""
    is_operator = models.BooleanField(default=False)
    """Sees the rows of every tenant."""
    joins = models.CharField(max_length=16, blank=True)
    """Of a join token: the part, `sealer` or `prover`, for which one host exchanges it once."""
    joined_uid = models.CharField(max_length=80, blank=True)
    """Of a join token: uid of the host that has exchanged it."""
    joined_token = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="join_token"
    )
    """Of a join token: what the host got for it."""
    digest = models.CharField(max_length=64, unique=True)
    """SHA-256 of the whole text, hex."""
    hint = models.CharField(max_length=8)
    """The last characters of the text, to tell tokens apart on a page."""
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.tenant.name}/{self.name}"


class MinerGrant(models.Model):
    """A miner actor belongs to one tenant."""

    actor_id = models.BigIntegerField(unique=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="miner_grants")
    open_mining = models.BooleanField(default=True)
    """Whether the pool makes blocks for it."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"f0{self.actor_id}"


class SignerGrant(models.Model):
    """A tenant may have messages signed for this address; an address may serve several tenants."""

    address = AddressField()
    """Of a key (protocol 1, 3 or 4)."""
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="signer_grants")
    is_by_hand = models.BooleanField(default=False)
    """Whether somebody granted it on the tenant's page, not a signer that brought it."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["address", "tenant"], name="one_grant_per_address_and_tenant")
        ]

    def __str__(self) -> str:
        return f"{self.address} of {self.tenant.name}"


class AccountApproval(models.Model):
    """The tenant `account` agrees that the signers of `signer_tenant` serve it, or was asked to.

    A signer names the accounts that it supports; without approval (or the same tenant) they are left out,
    since otherwise any signer could get its addresses registered under a stranger's name.
    """

    signer_tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="serves")
    account = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="served_by")
    created_at = models.DateTimeField(default=timezone.now)
    """When a signer first asked."""
    approved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["signer_tenant", "account"], name="one_approval_per_pair_of_tenants"
            )
        ]

    def __str__(self) -> str:
        return f"{self.signer_tenant.name} serves {self.account.name}"


class RateLimit(models.Model):
    """How much of a service a tenant may use: a bucket of `capacity` requests that empties in `reset_ns`.

    Source: ipfs-force-community/sophon-auth storage/store.go UserRateLimit.
    """

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="rate_limits")
    service = models.CharField(max_length=50, blank=True)
    """Prefix of a method's name, as `Gateway`, or `rest`; empty: every service."""
    api = models.CharField(max_length=50, blank=True)
    """A method's name without its prefix, or a route's; empty: all of them together."""
    capacity = models.BigIntegerField()
    """Requests; 0 sets no limit."""
    reset_ns = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.tenant.name}: {self.capacity} per {self.reset_ns / 10**9:g} s"


class LoginAttempt(models.Model):
    """Somebody tried to log in; failures slow the next tries down."""

    at = models.DateTimeField()
    username = models.CharField(max_length=150)
    """As it was typed; there need not be such a person."""
    source = models.CharField(max_length=64)
    is_good = models.BooleanField()

    class Meta:
        indexes = [
            models.Index(fields=["username", "-at"]),
            models.Index(fields=["source", "-at"]),
            models.Index(fields=["-at"], condition=models.Q(is_good=False), name="login_failures"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.username} from {self.source}"


class AuditEntry(models.Model):
    """Who did what, when and from where; each row holds the hash of the one before it."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    """Person, token or process, as `Principal.actor` says."""
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=64, blank=True)
    """Network address of the caller, where there is one."""
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    previous_hash = models.CharField(max_length=64, blank=True)
    entry_hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="audit_of_tenant"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.target}"
