"""A multisig and the proposals in it, as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext

from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.pages.messages.facts import fil_shown, params_text
from apps.miners.onchain.multisigs import PendingProposal
from apps.miners.selectors.act_texts import act_kind, act_method, act_params, act_text
from apps.miners.selectors.multisigs import VisibleMultisig
from apps.miners.selectors.proposals import Act
from apps.miners.services.multisig_acts import may_act
from apps.miners.services.multisig_senders import Outcome
from apps.miners.states import Decision
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import fil_format


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """One proposal."""

    id: int
    hash: str
    says: str
    method: str
    to: str
    value: str
    params: str
    approved: str
    """Who has approved, the proposer first."""
    progress: str
    waits_for: str
    may_approve: bool
    may_cancel: bool


@dataclass(frozen=True, slots=True)
class MultisigRow:
    """One multisig."""

    address: str
    rule: str
    """How many of how many signers must approve."""
    balance: int
    miners: str
    signers: list[tuple[str, str]]
    """f0 address, and the wallet of the tenant that it is; empty where it is somebody else's."""
    proposals: list[ProposalRow]
    may_propose: bool


def multisig_row(row: VisibleMultisig, viewer: Principal, names: Mapping[str, str]) -> MultisigRow:
    """Lay out one multisig; `names` are the labels of wallets."""
    facts = row.facts
    held = {one: names.get(key) or key for one, key in row.wallets.items()}
    can_act = may_act(viewer, multisig=row)
    return MultisigRow(
        address=facts.address,
        rule=gettext("approvals needed: {threshold} of {count} signers").format(
            threshold=facts.threshold, count=len(facts.signers)
        ),
        balance=facts.balance,
        miners=list_text(miner.address for miner in row.miners),
        signers=[(one, held.get(one, "")) for one in facts.signers],
        proposals=[_proposal_row(row, one, held, can_act=can_act) for one in facts.pending],
        may_propose=can_act and bool(row.wallets),
    )


def _proposal_row(
    row: VisibleMultisig, proposal: PendingProposal, held: Mapping[str, str], *, can_act: bool
) -> ProposalRow:
    act = Act(proposal.to, proposal.method, proposal.params, proposal.value)
    missing = [one for one in row.facts.signers if one not in proposal.approved]
    return ProposalRow(
        id=proposal.id,
        hash=proposal.hash.hex(),
        says=act_text(act),
        method=act_method(act),
        to=act.to,
        value=fil_format(act.value),
        params=act_params_text(act),
        approved=_named(proposal.approved, held),
        progress=gettext("{count} of {threshold}").format(
            count=len(proposal.approved), threshold=row.facts.threshold
        ),
        waits_for=_named(missing, held),
        may_approve=can_act and bool(row.approvers(proposal)),
        may_cancel=can_act and proposal.proposer in row.wallets,
    )


def act_params_text(act: Act) -> str:
    """Return the parameters in one line, amounts in FIL."""
    return params_text(fil_shown(act_kind(act), act.method, act_params(act)))


def _named(signers: Iterable[str], held: Mapping[str, str]) -> str:
    """Return signers, those of the tenant's wallets by name behind the address."""
    return list_text(
        gettext("{address} ({name})").format(address=one, name=short_text(held[one])) if one in held else one
        for one in signers
    )


def short_text(name: str) -> str:
    """Return a wallet's label, or the ends of its address."""
    return name if len(name) < 30 else f"{name[:8]}…{name[-6:]}"


def act_facts(act: Act) -> Iterable[tuple[str, str]]:
    """Yield what a multisig is to send."""
    yield gettext("Act"), act_text(act)
    yield gettext("Method"), act_method(act)
    yield gettext("Receiver"), act.to
    yield gettext("Value"), fil_format(act.value)
    yield gettext("Parameters"), act_params_text(act) or gettext("none")


def outcome_facts(outcome: Outcome | None) -> Iterable[tuple[str, str]]:
    """Yield how an act of a multisig goes on once the message has landed; nothing where none acts."""
    if outcome is None:
        return
    yield gettext("Multisig"), outcome.multisig
    if outcome.is_executed:
        says = gettext("carried out at once")
    else:
        others = plural(outcome.missing, "other signer must approve it", "other signers must approve it")
        says = gettext("{approvals} of {threshold} approvals; {others} on page Multisigs").format(
            approvals=outcome.approvals, threshold=outcome.threshold, others=others
        )
    yield gettext("After this message"), says
    if outcome.exit_code is None:
        yield gettext("Act tried now"), gettext("no node could try it: {error}").format(error=outcome.error)
    elif outcome.exit_code:
        yield (
            gettext("Act tried now"),
            gettext("would fail: {error}").format(error=outcome.error or outcome.exit_code),
        )
    else:
        yield gettext("Act tried now"), gettext("would succeed")


def decision_label(decision: str) -> str:
    """Return the button of a signer's act."""
    return gettext("Approve") if decision == Decision.APPROVE else gettext("Cancel proposal")
