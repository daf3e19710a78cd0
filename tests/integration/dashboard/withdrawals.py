"""A miner with available balance, and what its sender's signer says of a withdrawal."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import Message
from apps.wallets.services import policies
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import from_cbor
from poolsite.wire.policy import MessageVerdict
from tests.factories import MinerNode

AVAILABLE = 12 * FIL
TERM = {
    "Beneficiary": "f0103",
    "BeneficiaryTerm": {"Quota": str(5 * FIL), "UsedQuota": "0", "Expiration": 2000},
}


@pytest.fixture(autouse=True)
def available(info: dict[str, Any], node: MinerNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The miner's available balance."""
    funds_set(node, monkeypatch, AVAILABLE)


def funds_set(node: MinerNode, monkeypatch: pytest.MonkeyPatch, amount: int) -> None:
    monkeypatch.setattr(
        node, "do_StateMinerAvailableBalance", lambda _miner, _key: str(amount), raising=False
    )


def signer_says(monkeypatch: pytest.MonkeyPatch, error: str = "") -> list[Any]:
    """What the sender's signer says of each message that it is asked about."""
    asked: list[Any] = []

    def answer(_viewer: Any, *, address: str, message: Any) -> MessageVerdict:
        asked.append((address, message))
        return MessageVerdict(words="", rule="", error=error)

    monkeypatch.setattr(policies, "policy_try", answer)
    return asked


def requested(message: Message) -> int:
    return from_cbor(WithdrawBalanceParams, bytes(message.params)).amount_requested
