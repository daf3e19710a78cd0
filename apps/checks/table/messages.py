"""The rows of the table that are about messages, their senders and their signers."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from apps.checks.findings import messages, sealing, senders, signers
from apps.checks.findings.acts import PRICED_OUT
from apps.checks.findings.results import Check, Link, Severity, Topic

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

MESSAGE_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "recovery",
        _("The pool is not in recovery after a restore"),
        (Topic.MESSAGES, Topic.SENDERS, Topic.GAS, Topic.PROVING),
        CRITICAL,
        messages.recovery,
        Link("messages"),
        _("Messages"),
        is_pool_wide=True,
    ),
    Check(
        "sector_recovery",
        _("No sector is on hold after a restore"),
        (Topic.SECTORS,),
        WARNING,
        sealing.sector_recovery,
        Link("sectors"),
        _("Sectors"),
    ),
    Check(
        "messages_stuck",
        _("No message is stuck"),
        (Topic.MESSAGES, Topic.SENDERS, Topic.GAS),
        WARNING,
        messages.stuck,
        Link("messages", query="state=stuck"),
        _("Doctor"),
    ),
    Check(
        "messages_unapproved",
        _("No message needs approval"),
        (Topic.MESSAGES,),
        WARNING,
        messages.unapproved,
        Link("approvals"),
        _("Approvals"),
    ),
    Check(
        "messages_replaced",
        _("No message lost its nonce to another"),
        (Topic.MESSAGES, Topic.SENDERS),
        WARNING,
        messages.nonce_taken,
        Link("messages", query="state=replaced"),
        _("Messages"),
    ),
    Check(
        "rules_hindered",
        _("Every automatic rule does what is due"),
        (Topic.MESSAGES, Topic.WALLETS),
        WARNING,
        messages.rules_hindered,
        Link("automation"),
        _("Automation"),
    ),
    Check(
        "messages_failed",
        _("No message failed in the last 24 h"),
        (Topic.MESSAGES,),
        WARNING,
        messages.failed,
        Link("messages"),
        _("Messages"),
    ),
    Check(
        "base_fee_above_cap",
        _("Every signed message covers the base fee"),
        (Topic.MESSAGES, Topic.GAS),
        WARNING,
        messages.base_fee_above_cap,
        Link("messages", query=PRICED_OUT),
        _("Doctor"),
    ),
    Check(
        "nonce_gaps",
        _("No sender has a nonce gap"),
        (Topic.SENDERS,),
        WARNING,
        senders.nonce_gaps,
        Link("senders"),
        _("Senders"),
    ),
    Check(
        "senders_foreign",
        _("No other program sends from our addresses"),
        (Topic.SENDERS,),
        WARNING,
        senders.foreign_senders,
        Link("senders"),
        _("Senders"),
    ),
    Check(
        "senders_paused",
        _("No sender is paused"),
        (Topic.SENDERS,),
        WARNING,
        senders.senders_paused,
        Link("senders"),
        _("Senders"),
    ),
    Check(
        "balances_short",
        _("Every balance covers 3 days of gas"),
        (Topic.SENDERS, Topic.WALLETS, Topic.GAS),
        WARNING,
        senders.runway_short,
        Link("wallets"),
        _("Wallets"),
    ),
    Check(
        "signers_away",
        _("Every address in use has a connected signer"),
        (Topic.WALLETS, Topic.GATEWAY, Topic.PROVING),
        WARNING,
        signers.signers_away,
        Link("wallets"),
        _("Wallets"),
    ),
    Check(
        "policies_advised",
        _("No signer's policy needs a change"),
        (Topic.WALLETS,),
        WARNING,
        signers.policies_advised,
        Link("wallets"),
        _("Wallets"),
    ),
    Check(
        "requests_failed",
        _("No request to a signer failed in the last hour"),
        (Topic.GATEWAY,),
        WARNING,
        signers.requests_failed,
        Link("gateway"),
        _("Gateway"),
    ),
    Check(
        "grants_unchosen",
        _("No tenant uses a key that nobody granted"),
        (Topic.GATEWAY, Topic.WALLETS),
        WARNING,
        signers.grants_unchosen,
        Link("tenants"),
        _("Tenants"),
        operator_only=True,
    ),
)
