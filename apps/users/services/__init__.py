"""Writing accounts: tenants, people, tokens, grants and the audit log."""

from __future__ import annotations

from apps.users.services.access import access_change_publish
from apps.users.services.audit import AuditEvent, audit_entries_record, audit_record
from apps.users.services.grants import (
    SIGNER_PROTOCOLS,
    account_approval_revoke,
    account_approve,
    miner_grant,
    miner_grant_revoke,
    rate_limit_delete,
    rate_limit_set,
    signer_grant,
    signer_grant_revoke,
)
from apps.users.services.passwords import password_change, user_create
from apps.users.services.tenants import tenant_create, tenant_delete, tenant_restore, tenant_update
from apps.users.services.tokens import TokenLimits, token_issue, token_restore, token_revoke, token_use_record

__all__ = [
    "SIGNER_PROTOCOLS",
    "AuditEvent",
    "TokenLimits",
    "access_change_publish",
    "account_approval_revoke",
    "account_approve",
    "audit_entries_record",
    "audit_record",
    "miner_grant",
    "miner_grant_revoke",
    "password_change",
    "rate_limit_delete",
    "rate_limit_set",
    "signer_grant",
    "signer_grant_revoke",
    "tenant_create",
    "tenant_delete",
    "tenant_restore",
    "tenant_update",
    "token_issue",
    "token_restore",
    "token_revoke",
    "token_use_record",
    "user_create",
]
