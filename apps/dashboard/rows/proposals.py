"""Changes of a signer's policy that the pages propose: name a miner, allow transfers between own wallets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.wire.proposals import OWN_TRANSFERS, own_miners_edit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.gateway.models import SignerConnection
    from apps.wallets.models import Wallet
    from poolsite.wire.policy import PolicyState

OWN_WALLETS_MIN: Final = 2
"""A transfer needs a sender and a receiver."""


@dataclass(frozen=True, slots=True)
class MinersProposal:
    """Miners that the rule for sealing and proving does not name yet."""

    wallet: str
    """A key of the signer whose policy is to change."""
    miners: tuple[str, ...]
    is_open: bool
    """Whether the rule names no receiver, so that it signs for anybody's miner."""
    editors: tuple[str, ...]
    """Whose code approves the change here."""

    @property
    def names(self) -> str:
        """The miners in words."""
        return ", ".join(self.miners)

    @property
    def command(self) -> str:
        """What the signer's owner runs on its host instead."""
        return "python -m workers signer policy" + "".join(f" --miner {miner}" for miner in self.miners)


@dataclass(frozen=True, slots=True)
class TransfersProposal:
    """What the rule for transfers between the signer's own keys allows; empty amounts without one."""

    wallet: str
    wallets: tuple[str, ...]
    value_max: str
    value_per_day: str


def miners_proposal(wallet: Wallet, state: PolicyState, miners: Sequence[str]) -> MinersProposal | None:
    """Return which of these miners the signer's policy has to name; None if it names them all."""
    edit = own_miners_edit(state.rules, miners)
    if edit is None or edit.rule is None:
        return None
    was = next(rule for rule in state.rules if rule.name == edit.name)
    missing = tuple(address for address in miners if address not in was.to)
    return MinersProposal(wallet.address, missing or tuple(miners), not was.to, state.editors)


def transfers_proposal(
    wallet: Wallet, state: PolicyState, signer: SignerConnection
) -> TransfersProposal | None:
    """Return what transfers between this signer's own keys are allowed; None if it holds one key only."""
    keys = signer.signer_keys.filter(removed_at=None).order_by("verified_at", "pk")
    wallets = tuple(keys.values_list("address", flat=True))
    if len(wallets) < OWN_WALLETS_MIN:
        return None
    rule = next((one for one in state.rules if one.name == OWN_TRANSFERS), None)
    value_max, per_day = ("", "") if rule is None else (rule.value_max, rule.value_per_day)
    return TransfersProposal(wallet.address, wallets, value_max, per_day)
