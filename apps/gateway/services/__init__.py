"""Writing connections, and requests to signers from anywhere in the pool."""

from __future__ import annotations

from apps.gateway.services.connections import accounts_claim, connections_confirm, keys_add
from apps.gateway.services.signatures import (
    RuledSignature,
    WalletSignRequest,
    signature_read,
    signers_of,
    wallet_has,
    wallet_sign,
    wallet_sign_all,
)

__all__ = [
    "RuledSignature",
    "WalletSignRequest",
    "accounts_claim",
    "connections_confirm",
    "keys_add",
    "signature_read",
    "signers_of",
    "wallet_has",
    "wallet_sign",
    "wallet_sign_all",
]
