"""What signers do in a multisig: propose, approve, cancel; what each would do and cost, and pushing it.

An approval carries the hash of what was reviewed: the chain refuses it for any other proposal, also where a
reorganisation has given the number to another one.  Source: builtin-actors actors/multisig/src/lib.rs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from django.db import transaction

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.errors import Conflict, NotAllowed
from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.dry_run import DryRun, message_dry_run
from apps.messages.services.push import messages_push
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.messages.services.signer_trials import run_refusal_find
from apps.messages.states import MessageState
from apps.miners.onchain.multisigs import PendingProposal
from apps.miners.selectors.multisigs import VisibleMultisig
from apps.miners.selectors.proposals import Act
from apps.miners.services.multisig_senders import Outcome, outcome_try, proposal_build, proposal_describe
from apps.miners.states import Decision
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.actors.multisig import Method, TxnIDParams
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.codec import to_cbor

NOT_ALLOWED: Final = "requires permission to sign for the multisig's tenant"
KIND: Final = "multisig"
"""Purpose of a message that a person has sent to a multisig."""
MULTISIG_LOCK: Final = 0x4D57
METHODS: Final = {Decision.APPROVE: Method.APPROVE, Decision.CANCEL: Method.CANCEL}
ENDED: Final = (MessageState.FAILED, MessageState.REPLACED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRequest:
    """A request to propose that a multisig sends a message."""

    act: Act
    signer: str = ""
    """Key of the signer who proposes; empty: the first that the tenant holds."""
    key: str
    """Names the request, so that a double click sends one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """A signer's approval or cancellation of a proposal."""

    decision: str
    id: int
    hash: str
    """Of the proposal that was reviewed, in hexadecimal."""
    signer: str = ""
    """Key of the signer; empty: the first of the tenant's that may."""


@dataclass(frozen=True, slots=True)
class MultisigPlan:
    """A message to a multisig, with what it would do and cost now."""

    item: PushItem
    run: DryRun
    act: Act
    """What the multisig is to send."""
    outcome: Outcome | None
    """None: the proposal is cancelled."""
    signer: str
    """f0 address of who sends it."""

    def run_check(self) -> None:
        """Raise Conflict if the chain would refuse it now, or carry out what then fails."""
        if self.run.exit_code:
            raise Conflict(
                gettext("the chain would refuse it: {error}").format(
                    error=self.run.error or self.run.exit_code
                )
            )
        if self.outcome is not None and self.outcome.is_executed:
            self.outcome.check()


def may_act(principal: Principal, *, multisig: VisibleMultisig) -> bool:
    """Return whether somebody may propose, approve and cancel: who signs for its tenant, no limited token."""
    is_permitted = principal.is_operator or principal.own_id == multisig.tenant_id
    return principal.may("sign") and is_permitted and not principal.is_partial


def proposal_plan(
    multisig: VisibleMultisig,
    *,
    request: ProposalRequest,
    principal: Principal,
    client: ChainClient,
    head: Head,
) -> MultisigPlan:
    """Return the message that proposes an act, and what it would do and cost; nothing is stored.

    Raises NotAllowed, Conflict naming the field, NodeUnavailable, and what a push would raise.
    """
    _allowed_require(principal, multisig)
    signer, key = _signer_choose(multisig, list(multisig.wallets), wanted=request.signer)
    act, facts = request.act, multisig.facts
    inner = PushItem(
        id=f"{KIND}-propose:{multisig.tenant_id}:{facts.address}:{request.key}",
        to=act.to,
        from_="",
        method=act.method,
        value=act.value,
        params=act.params,
        kind=KIND,
    )
    item = proposal_build(inner, multisig=facts, sender=key)
    run = message_dry_run(item, principal=_acting(multisig, by=principal), client=client, head=head)
    outcome = outcome_try(act, multisig=facts, approvals=1, client=client, head=head)
    return MultisigPlan(item, run, act, outcome, signer)


def decision_plan(
    multisig: VisibleMultisig,
    *,
    request: DecisionRequest,
    principal: Principal,
    client: ChainClient,
    head: Head,
) -> MultisigPlan:
    """Return the message that approves or cancels a proposal, and what it would do and cost.

    Raises NotAllowed, NotFound and Conflict naming the field, NodeUnavailable, and what a push would raise.
    """
    _allowed_require(principal, multisig)
    proposal, facts = multisig.proposal(request.id), multisig.facts
    if proposal.hash.hex() != request.hash.lower():
        raise Conflict(
            gettext("proposal {id} is another one than was reviewed: review it again").format(id=request.id),
            field="hash",
        )
    signer, key = _signer_choose(multisig, _deciders(multisig, proposal, request.decision), request.signer)
    act = Act(proposal.to, proposal.method, proposal.params, proposal.value)
    item = PushItem(
        id=_decision_id(multisig, request, key=key),
        to=facts.address,
        from_=key,
        method=METHODS[Decision(request.decision)],
        params=to_cbor(TxnIDParams(proposal.id, proposal.hash)),
        kind=KIND,
    )
    run = message_dry_run(item, principal=_acting(multisig, by=principal), client=client, head=head)
    outcome = None
    if request.decision == Decision.APPROVE:
        approvals = len(proposal.approved) + 1
        outcome = outcome_try(act, multisig=facts, approvals=approvals, client=client, head=head)
    return MultisigPlan(item, run, act, outcome, signer)


def _allowed_require(principal: Principal, multisig: VisibleMultisig) -> None:
    if not may_act(principal, multisig=multisig):
        raise NotAllowed(NOT_ALLOWED)


def _deciders(multisig: VisibleMultisig, proposal: PendingProposal, decision: str) -> list[str]:
    """Return who of our signers can take a decision.  Raises Conflict naming why nobody can."""
    if decision == Decision.CANCEL:
        if proposal.proposer not in multisig.wallets:
            raise Conflict(
                gettext("only {proposer}, who proposed it, can cancel it").format(proposer=proposal.proposer),
                field="signer",
            )
        return [proposal.proposer]
    found = multisig.approvers(proposal)
    if not found and multisig.wallets:
        raise Conflict(gettext("all signers that are here have approved it"), field="signer")
    return found


def _signer_choose(multisig: VisibleMultisig, signers: list[str], wanted: str) -> tuple[str, str]:
    """Return the f0 address and the key of who sends.  Raises Conflict naming the field."""
    if not multisig.wallets:
        raise Conflict(
            gettext("no signer of the tenant holds a key of multisig {multisig}").format(
                multisig=multisig.facts.address
            ),
            field="signer",
        )
    for signer in signers:
        if wanted in ("", signer, multisig.wallets[signer]):
            return signer, multisig.wallets[signer]
    raise Conflict(
        gettext("must be one of {values}").format(values=", ".join(multisig.wallets[one] for one in signers)),
        field="signer",
    )


def _decision_id(multisig: VisibleMultisig, request: DecisionRequest, *, key: str) -> str:
    """Return the id of a signer's decision: the same one again is the same message, while it may land."""
    begin = f"{KIND}-{request.decision}:{multisig.tenant_id}:{multisig.facts.address}:{request.id}"
    name = f"{begin}:{request.hash[:16].lower()}:{key[-16:]}"
    earlier = Message.objects.filter(tenant=multisig.tenant_id, push_id__startswith=f"{name}:")
    over = [row for row in earlier if row.state in ENDED or row.exit_code > 0]
    return f"{name}:{len(over)}"


def _acting(multisig: VisibleMultisig, *, by: Principal) -> Principal:
    """Return who pushes: the multisig's tenant, `by` named as who asked."""
    if not multisig.miners:
        return by
    tenant = multisig.miners[0].tenant
    return replace(by, tenant_id=tenant.pk, tenant_name=tenant.name, is_operator=False)


def proposal_push(
    multisig: VisibleMultisig,
    *,
    request: ProposalRequest,
    principal: Principal,
    client: ChainClient,
    head: Head,
) -> Message:
    """Push what `proposal_plan` returns; the same key again is the same message.

    Raises what that raises, Conflict if the chain would refuse it now, and MessageIdTaken for a key that
    named another act.
    """
    plan = proposal_plan(multisig, request=request, principal=principal, client=client, head=head)
    return _push(multisig, plan, action="multisig.propose", principal=principal)


def decision_push(
    multisig: VisibleMultisig,
    *,
    request: DecisionRequest,
    principal: Principal,
    client: ChainClient,
    head: Head,
) -> Message:
    """Push what `decision_plan` returns, once while it may land.  Raises what that raises, and Conflict."""
    plan = decision_plan(multisig, request=request, principal=principal, client=client, head=head)
    action = "multisig.approve" if request.decision == Decision.APPROVE else "multisig.cancel"
    return _push(multisig, plan, action=action, principal=principal, proposal=request.id)


def _push(
    multisig: VisibleMultisig,
    plan: MultisigPlan,
    *,
    action: str,
    principal: Principal,
    proposal: int | None = None,
) -> Message:
    """Push a planned message, with its line in the audit log the first time."""
    item, by = plan.item, _acting(multisig, by=principal)
    earlier = Message.objects.filter(tenant=by.tenant_id, push_id=item.id)
    if not earlier.exists():
        plan.run_check()
    kinds = receiver_kinds([multisig.facts.address])
    receiver_kinds_resolve([multisig.facts.address], known=kinds)  # no transaction waits for the network
    with transaction.atomic():
        transaction_lock(MULTISIG_LOCK, [item.id])
        is_repeat = earlier.exists()
        found = messages_push([item], principal=by)[0]
        if not isinstance(found, Message):
            raise found
        if not is_repeat:
            audit_record(
                principal=principal,
                action=action,
                target=multisig.facts.address,
                after={
                    "receiver": plan.act.to,
                    "method": method_name(
                        receiver_kinds([plan.act.to]).get(plan.act.to, ""), plan.act.method
                    ),
                    "value": fil_format(plan.act.value),
                    "sender": str(item.from_),
                    "message": str(found.pk),
                    **({} if proposal is None else {"proposal": proposal}),
                    **proposal_describe(plan.outcome),
                },
            )
    return found


def signer_refusal_read(plan: MultisigPlan, *, by: Principal) -> str:
    """Return why the signer's policy would not sign the message; empty if it would."""
    name = f"multisig.{method_name('multisig', plan.item.method)}"
    return run_refusal_find(plan.run, by=by, method=name)
