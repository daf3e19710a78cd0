"""Changes of a miner's owner, worker, control addresses and beneficiary: what one costs, and pushing it.

Owner and beneficiary change in two steps by two senders; a worker's key after a delay and a confirmation.
Where clients reach the node that takes its deals the worker sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.errors import Conflict, NotAllowed
from apps.core.marked_texts import gettext
from apps.messages.errors import MessageIdTaken
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem, SendSpec
from apps.messages.services.dry_run import DryRun, message_dry_run
from apps.miners.models import Miner
from apps.miners.rules.deal_addresses import multiaddrs_change, multiaddrs_text, peer_change, peer_text
from apps.miners.selectors.address_lookups import addresses_resolve
from apps.miners.selectors.address_messages import WORKER_METHODS, act_describe, address_messages
from apps.miners.selectors.addresses import MinerAddresses, addresses_read
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.multisigs import proposals_waiting
from apps.miners.selectors.proposals import Act, act_read
from apps.miners.services.address_change_messages import (
    AddressRequest,
    change_message_build,
    control_addresses_describe,
)
from apps.miners.services.multisig_senders import Outcome, act_plan, proposal_describe
from apps.miners.services.planned_push import planned_message_push, planned_push_lock
from apps.miners.states import AddressChange
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner_beneficiary import ChangeBeneficiaryParams
from poolsite.filecoin.actors.miner_control import ChangeOwnerAddressParams, ChangeWorkerAddressParams
from poolsite.filecoin.codec import to_cbor

NOT_ALLOWED: Final = "requires permission to sign for the miner's tenant"
NAMING_ALL: Final = (AddressChange.CONTROL, AddressChange.WORKER)
"""Changes by ChangeWorkerAddress, whose message names the worker and all control addresses."""


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """The message of a change, with what it would do and cost now."""

    item: PushItem
    run: DryRun
    says: str
    """What it changes, in words."""
    was: str
    """What the chain has now of it, in words."""
    proposal: Outcome | None = None
    """Result for the proposal, if a multisig makes the change."""

    def run_check(self) -> None:
        """Raise Conflict if the chain would refuse it now."""
        if self.run.exit_code:
            raise Conflict(
                gettext("the chain would refuse it: {error}").format(
                    error=self.run.error or self.run.exit_code
                )
            )
        if self.proposal is not None:
            self.proposal.check()


@dataclass(frozen=True, slots=True)
class SentChange:
    """The message of a change that was pushed."""

    message: Message
    plan: ChangePlan | None
    """None: it was pushed before, under the same key."""


def may_change(principal: Principal, *, miner: Miner) -> bool:
    """Return whether somebody may change a miner's addresses: who signs for its tenant, no limited token."""
    is_permitted = principal.is_operator or principal.own_id == miner.tenant_id
    return principal.may("sign") and is_permitted and not principal.is_partial


def change_plan(
    miner: Miner, *, request: AddressRequest, principal: Principal, client: ChainClient, head: Head
) -> ChangePlan:
    """Return the message of a change and what it would cost; nothing is stored.

    Raises NotAllowed, BadValue and Conflict naming the field, NodeRefused, NodeUnavailable, and what a push
    would raise.
    """
    if not may_change(principal, miner=miner):
        raise NotAllowed(NOT_ALLOWED)
    now = addresses_read(miner, client=client)
    expire_epoch = _last_epoch(miner, request=request, now=now, head=head)
    sender, method, params, summary = change_message_build(
        request, now=now, client=client, height=head.height
    )
    item = PushItem(
        id=_push_id(miner, request),
        to=miner.address,
        from_=sender,
        method=method,
        params=params,
        kind="address_change",
        spec=SendSpec(expire_epoch=expire_epoch),
    )
    sent = act_plan(item, actors=(sender,), tenant_id=miner.tenant_id, client=client, head=head)
    if sent.outcome is not None:
        _proposal_require_alone(miner, request.change, now=now, client=client, head=head)
    # Without a signer here the dry run refuses it by the sender's name.
    item = sent.item or replace(item, from_=sent.keys[0])
    run = message_dry_run(item, principal=miner_principal(miner), client=client, head=head)
    return ChangePlan(item, run, summary, _present_text(request.change, now), sent.outcome)


def _proposal_require_alone(
    miner: Miner, change: str, *, now: MinerAddresses, client: ChainClient, head: Head
) -> None:
    """Refuse a proposal that would bring back what was when others approve it later.  Raises Conflict."""
    if change not in NAMING_ALL:
        return
    if now.new_worker:
        raise Conflict(
            gettext("a change to {new_worker} is pending: confirm it first").format(
                new_worker=now.new_worker
            ),
            field="change",
        )
    for waiting in proposals_waiting(miner, now, methods=WORKER_METHODS, client=client, head=head):
        says = act_describe(Act(waiting.to, waiting.method, waiting.params))
        raise Conflict(
            gettext("proposal {id} waits for approvals, approve or cancel it first: {says}").format(
                id=waiting.id, says=says
            ),
            field="change",
        )


def _last_epoch(miner: Miner, *, request: AddressRequest, now: MinerAddresses, head: Head) -> int:
    """Return the last epoch for a change's message, 0 for none.  Raises Conflict naming the field.

    ChangeWorkerAddress names the worker and all control addresses at once: one that is built before another
    has landed, or that lands once a new worker's key is in force, would bring back what was.
    """
    if request.change not in NAMING_ALL:
        return 0
    _none_on_its_way_require(miner, request.change)
    if not now.new_worker:
        return 0
    if head.height >= now.worker_epoch - 1:
        raise Conflict(
            gettext("a change to {new_worker} is pending: confirm it first").format(
                new_worker=now.new_worker
            ),
            field="change",
        )
    return now.worker_epoch - 1


def _none_on_its_way_require(miner: Miner, change: str) -> None:
    """Refuse a change that would take back the one on its way.  Raises Conflict naming the field."""
    if change not in NAMING_ALL:
        return
    if found := next((one for one in address_messages(miner) if one.method in WORKER_METHODS), None):
        raise Conflict(
            gettext("wait until the change that is on its way has landed: {says}").format(says=found.says),
            field="change",
        )


def _present_text(change: str, now: MinerAddresses) -> str:
    """Return what the chain has now of what a change is about."""
    if change == AddressChange.CONTROL:
        return control_addresses_describe(now.control)
    if change in (AddressChange.WORKER, AddressChange.WORKER_CONFIRM):
        return gettext("worker {worker}").format(worker=now.worker)
    if change in (AddressChange.OWNER, AddressChange.OWNER_CONFIRM):
        return gettext("owner {owner}").format(owner=now.owner)
    if change == AddressChange.PEER_ID:
        return peer_text(now.peer_id)
    if change == AddressChange.MULTIADDRS:
        return multiaddrs_text(now.multiaddrs)
    return gettext("beneficiary {beneficiary}").format(beneficiary=now.beneficiary)


def change_push(
    miner: Miner, *, request: AddressRequest, principal: Principal, client: ChainClient, head: Head
) -> SentChange:
    """Push a change's message; the same key again is the same message, on chain or not.

    Raises what `change_plan` raises, Conflict if the chain would refuse it now, and MessageIdTaken for a key
    that named another change.
    """
    if not may_change(principal, miner=miner):
        raise NotAllowed(NOT_ALLOWED)
    earlier = Message.objects.filter(tenant_id=miner.tenant_id, push_id=_push_id(miner, request)).first()
    if earlier is not None:
        if not _is_same(request, earlier, client=client):
            raise MessageIdTaken(gettext("this key was already used for a different change"), field="key")
        return SentChange(earlier, None)
    plan = change_plan(miner, request=request, principal=principal, client=client, head=head)
    plan.run_check()
    with planned_push_lock(miner, to=str(plan.item.to)):
        is_repeat = Message.objects.filter(tenant_id=miner.tenant_id, push_id=plan.item.id).exists()
        if not is_repeat:
            _none_on_its_way_require(miner, request.change)
        message = planned_message_push(miner, item=plan.item, by=principal)
        if is_repeat:  # the same request came twice at once
            return SentChange(message, None)
        audit_record(
            principal=principal,
            action="miner.address-change",
            target=miner.address,
            before={"addresses": plan.was},
            after={"addresses": plan.says, "change": request.change, "message": str(message.pk)}
            | proposal_describe(plan.proposal),
        )
    return SentChange(message, plan)


def _push_id(miner: Miner, request: AddressRequest) -> str:
    return f"address-change:{miner.uuid}:{request.change}:{request.key}"


def _is_same(request: AddressRequest, message: Message, *, client: ChainClient) -> bool:
    """Return whether a message of this kind of change is what the request asks for.

    By what was named alone: what the chain said then may be otherwise meanwhile, as after it landed.
    """
    params = act_read(message).params
    if request.change == AddressChange.MULTIADDRS:
        return params == to_cbor(multiaddrs_change(request.addresses))
    if request.change == AddressChange.PEER_ID:
        return params == to_cbor(peer_change(request.addresses))
    requested = addresses_resolve(request.addresses or (), client=client)
    match request.change:
        case AddressChange.CONTROL:
            return params_read(ChangeWorkerAddressParams, params).new_control_addrs == requested
        case AddressChange.WORKER:
            return (params_read(ChangeWorkerAddressParams, params).new_worker,) == requested
        case AddressChange.OWNER:
            return (params_read(ChangeOwnerAddressParams, params).new_address,) == requested
        case AddressChange.BENEFICIARY:
            term = params_read(ChangeBeneficiaryParams, params)
            named = (term.new_beneficiary, int(term.new_quota), term.new_expiration)
            return named == (*requested, request.quota, request.expiration)
    return True
