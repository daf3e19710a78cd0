"""By which message an actor that may be a multisig acts: its own, or the proposal of one of its signers.

Source: builtin-actors actors/multisig/src/lib.rs; lotus cli/multisig.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.errors import Conflict
from apps.core.marked_texts import gettext
from apps.messages.rules.push_items import PushItem
from apps.miners.onchain.multisigs import MultisigFacts, multisigs_read
from apps.miners.selectors.multisigs import signer_keys_read, signers_held
from apps.miners.selectors.proposals import Act
from apps.wallets.selectors import balances_of, senders_granted
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.actors.multisig import Method, ProposeParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.message import Message as ChainMessage

PROPOSE_METHOD: Final = "multisig.Propose"
"""As a signer's policy names it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """State of a multisig's proposal after the message that proposes or approves it."""

    multisig: str
    """f0 address."""
    approvals: int
    """Number of approvals once the message has landed."""
    threshold: int
    exit_code: int | None
    """With which the act itself ends on the newest state; None where no node could try it."""
    error: str
    """The node's words for that; empty if it succeeds."""

    @property
    def is_executed(self) -> bool:
        """Return whether the message carries the act out at once."""
        return self.approvals >= self.threshold

    @property
    def missing(self) -> int:
        """Return how many other signers must approve still."""
        return max(self.threshold - self.approvals, 0)

    def check(self) -> None:
        """Raise Conflict if the act would fail: a proposal that is carried out is gone, also if it failed."""
        if self.exit_code:
            raise Conflict(
                gettext("what {multisig} sends would be refused: {error}").format(
                    multisig=self.multisig, error=self.error or exit_code_text(self.exit_code)
                )
            )


def proposal_build(item: PushItem, *, multisig: MultisigFacts, sender: str) -> PushItem:
    """Return the message by which a signer proposes to a multisig what `item` would send."""
    params = ProposeParams(address_parse(str(item.to)), AttoFil(item.value), item.method, item.params)
    return replace(
        item,
        to=multisig.address,
        from_=sender,
        value=0,
        method=Method.PROPOSE,
        params=to_cbor(params),
    )


def _command_text(owner: str, item: PushItem) -> str:
    """Return who must propose an act where no signer is here, and with which command."""
    return gettext(
        "{owner} has no key of its own: propose it in its multisig, as with "
        "lotus msig propose {owner} {miner} 0 {method} {params}"
    ).format(owner=owner, miner=item.to, method=int(item.method), params=item.params.hex())


@dataclass(frozen=True, slots=True)
class SentAs:
    """The message by which one of a miner's actors acts."""

    item: PushItem | None
    """None: no signer of the tenant holds any of `keys`."""
    keys: tuple[str, ...]
    """Keys of those actors that have one."""
    outcome: Outcome | None
    """Result for the multisig's proposal; None if no multisig is involved."""


def act_plan(
    item: PushItem, *, actors: Sequence[str], tenant_id: int, client: ChainClient, head: Head
) -> SentAs:
    """Return `item` as one of these actors (f0) sends it: by a key that is here, else as a proposal.

    Raises Conflict naming the field where a multisig has no signer here; NodeUnavailable.
    """
    keys: list[str] = []
    keyless: list[str] = []
    for actor in dict.fromkeys(actors):
        try:
            keys.append(client.state_account_key(actor))
        except NodeRefused:  # a multisig has no key of its own
            keyless.append(actor)
    known, granted = balances_of(keys), senders_granted([tenant_id], keys)
    held = [key for key in keys if key in known and (tenant_id, key) in granted]
    if held or not keyless:
        sent = replace(item, from_=held[0]) if held else None
        return SentAs(sent, tuple(keys), None)
    multisigs = multisigs_read(client, keyless, head.key)
    signers = {one for facts in multisigs.values() for one in facts.signers}
    signer_keys = signer_keys_read(signers, client=client, head=head)
    for facts in multisigs.values():
        if wallets := signers_held(facts, keys=signer_keys, tenant_id=tenant_id):
            proposal = proposal_build(item, multisig=facts, sender=next(iter(wallets.values())))
            act = Act(str(item.to), item.method, item.params, item.value)
            outcome = outcome_try(act, multisig=facts, approvals=1, client=client, head=head)
            return SentAs(proposal, tuple(keys), outcome)
    if keys:
        return SentAs(None, tuple(keys), None)
    raise Conflict(_command_text(keyless[0], item), field="sender")


def outcome_try(
    act: Act, *, multisig: MultisigFacts, approvals: int, client: ChainClient, head: Head
) -> Outcome:
    """Try on the newest state what a multisig is to send, as if all had approved.  Raises NodeUnavailable."""
    message = ChainMessage(
        to=address_parse(act.to),
        from_=address_parse(multisig.address),
        value=AttoFil(act.value),
        gas_limit=BLOCK_GAS_LIMIT,
        method=act.method,
        params=act.params,
    )
    code: int | None
    try:
        trial = client.state_call(client.landing_form(message), head.key)
        code, error = int((trial.get("MsgRct") or {}).get("ExitCode", -1)), str(trial.get("Error") or "")
    except NodeRefused as refusal:  # not every node runs what no key could sign
        code, error = None, refusal.reason
    return Outcome(multisig.address, approvals, multisig.threshold, code, error)


def proposal_describe(outcome: Outcome | None) -> dict[str, Any]:
    """Return what the audit log says of an act by a multisig beside the act."""
    if outcome is None:
        return {}
    return {
        "multisig": outcome.multisig,
        "approvals": outcome.approvals,
        "threshold": outcome.threshold,
    }
