"""People: who signs in, their second factors, sessions and failed attempts."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from apps.users.models.tenants import Tenant
from apps.users.states import Factor, Role


class User(AbstractUser):
    """A person who logs in; what the person may do follows from the role and the tenant."""

    tenant = models.ForeignKey(Tenant, null=True, blank=True, on_delete=models.PROTECT, related_name="people")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.TENANT)
    must_change_password = models.BooleanField(default=False)
    """True while the password is the one that the console made up."""
    language = models.CharField(max_length=16, blank=True, default="", db_default="")
    """Language of the pages, a code of `LANGUAGES`; empty: as the browser asks."""
    time_zone = models.CharField(max_length=64, blank=True, default="", db_default="")
    """Zone of the times on the pages, an IANA name such as `Asia/Shanghai`; empty: UTC."""


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


class CompanyAccount(models.Model):
    """A person whom the company's identity provider signs in: without password, app or passkey here.

    Source: OpenID Connect Core 1.0, section 5.7: issuer and subject together are the only stable name.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="company")
    issuer = models.CharField(max_length=255)
    """URL of the provider, as it names itself."""
    subject = models.CharField(max_length=255)
    """The subject: its permanent name for the person."""
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_account_per_issuer_and_subject")
        ]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


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


class LoginAttempt(models.Model):
    """Somebody tried to log in; failures slow the next tries down."""

    at = models.DateTimeField()
    username = models.CharField(max_length=150)
    """As it was typed; there need not be such a person."""
    source = models.CharField(max_length=64)
    is_good = models.BooleanField()
    is_second = models.BooleanField(default=False, db_default=False)
    """Whether it is of a second factor, after the right password or in a session."""

    class Meta:
        indexes = [
            models.Index(fields=["username", "-at"]),
            models.Index(fields=["source", "-at"]),
            models.Index(fields=["-at"], condition=models.Q(is_good=False), name="login_failures"),
            models.Index(
                fields=["-at"], condition=models.Q(is_good=False, is_second=True), name="second_step_failures"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.username} from {self.source}"
