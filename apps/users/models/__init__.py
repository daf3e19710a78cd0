"""Rows of accounts: tenants, people, tokens, what tenants were granted, the audit log."""

from __future__ import annotations

from apps.users.models.audit import AuditEntry
from apps.users.models.grants import AccountApproval, MinerGrant, SignerGrant
from apps.users.models.idempotency import IdempotentAnswer
from apps.users.models.people import (
    CompanyAccount,
    LoginAttempt,
    Passkey,
    PersonSession,
    RecoveryCode,
    TotpDevice,
    User,
)
from apps.users.models.saved_views import SavedView
from apps.users.models.site_key import SiteKey
from apps.users.models.tenants import RateLimit, Tenant
from apps.users.models.tokens import Token

__all__ = [
    "AccountApproval",
    "AuditEntry",
    "CompanyAccount",
    "IdempotentAnswer",
    "LoginAttempt",
    "MinerGrant",
    "Passkey",
    "PersonSession",
    "RateLimit",
    "RecoveryCode",
    "SavedView",
    "SignerGrant",
    "SiteKey",
    "Tenant",
    "Token",
    "TotpDevice",
    "User",
]
