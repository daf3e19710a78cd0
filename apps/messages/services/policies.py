"""Changing a signer's policy, and trying again what the old one refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.messages.services.backoff import retry_after_policy_change
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import policy_take

if TYPE_CHECKING:
    from apps.users.principals import Principal
    from poolsite.wire.policy import PolicyApplied, PolicyChange


def policy_change(viewer: Principal, address: str, change: PolicyChange) -> PolicyApplied:
    """Have the signer make a sealed change; what its policy refused is tried on the next head.

    Raises NotAllowed, NotFound, SignerAway, SignerRefused.
    """
    taken = policy_take(viewer, address, change)
    retry_after_policy_change(account=wallet_get(viewer, address).account)
    return taken
