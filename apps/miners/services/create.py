"""Creating a miner: pushing its CreateMiner message."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Final

from django.db import transaction

from apps.chain.node.client import ChainClient
from apps.core.errors import BadValue
from apps.core.formatting import size
from apps.core.live import Change, publish
from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.services.push import message_push
from apps.messages.services.signer_trials import Verdicts, verdicts_read
from apps.miners.errors import MinerTaken
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.services.creation_plan import WORKER_FUND, CreationPlan, MinerSpec, creation_plan, may_create
from apps.miners.services.miner_values import address_read, name_read
from apps.miners.states import MinerState
from apps.users.models import Tenant
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors import power
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.address import POWER_ACTOR, Address, BadAddress, address_format, address_parse
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import METHOD_SEND
from poolsite.filecoin.policy import Network
from poolsite.filecoin.sector import RegisteredPoStProof, RegisteredSealProof, post_proof

KIND: Final = "create_miner"
"""Of the message that creates a miner."""
CREATION_LOCK: Final = 0x434D
"""Lock class of the keys under which miners are created."""


def miner_create(
    spec: MinerSpec, *, principal: Principal, tenant: Tenant, client: ChainClient, network: Network
) -> Miner:
    """Push CreateMiner with the deposit that the chain asks; the miner is there once it has landed.

    The chain refuses a worker whose address it does not know (exit code 16): such a one is sent some FIL by
    a message before, if the spec says so.  The same key again gives the same miner.
    Raises NotAllowed, BadValue, NodeRefused, NodeUnavailable, and what `message_push` raises.
    """
    message_id = f"create-miner:{tenant.uuid}:{spec.key}"
    if may_create(principal, tenant=tenant) and (earlier := _made_before(spec, message_id)) is not None:
        return earlier
    plan = creation_plan(spec, principal=principal, tenant=tenant, client=client, network=network)
    if plan.worker_fund and not spec.fund_worker:
        fund = fil_format(plan.worker_fund)
        reason = gettext(
            "its address does not exist on chain yet: send it FIL first ({fund} is enough to create it)"
        ).format(fund=fund)
        raise BadValue(reason, field="worker")
    with transaction.atomic():
        # The chain may want another deposit by now: of two equal requests the second would be refused.
        transaction_lock(CREATION_LOCK, [message_id])
        if (earlier := _made_before(spec, message_id)) is not None:
            return earlier
        if plan.worker_fund:
            message_push(
                principal=replace(principal, tenant_id=tenant.pk, tenant_name=tenant.name),
                id=f"fund-worker:{tenant.uuid}:{spec.key}",
                to=plan.worker,
                from_=plan.owner,
                value=WORKER_FUND,
                method=METHOD_SEND,
            )
        return create_miner_push(
            tenant=tenant,
            name=name_read(spec.name),
            owner=plan.owner,
            worker=plan.worker,
            seal_proof=plan.proof,
            deposit=plan.deposit,
            message_id=message_id,
            by=principal,
        )


def _made_before(spec: MinerSpec, message_id: str) -> Miner | None:
    """Return the miner of a spec's key, if there is one.  Raises MinerTaken for one of another spec."""
    earlier = Miner.objects.filter(create_message_id=message_id).first()
    if earlier is None:
        return None
    message = messages_by_ids([message_id]).get(message_id)
    if not _is_made_by(earlier, spec, message=message):
        raise MinerTaken(
            gettext("this key has created {miner}: use another one").format(miner=earlier), field="key"
        )
    return earlier if earlier.state != MinerState.CREATING or message is not None else None


def _is_made_by(miner: Miner, spec: MinerSpec, *, message: Message | None) -> bool:
    """Return whether a miner under a spec's key, created by this message, is what the spec asks for."""
    # The row's keys are those that the chain has now: they may have been changed since.
    named = miner if message is None else params_read(power.CreateMinerParams, bytes(message.params))
    try:
        wished = [address_format(address_read(one)) for one in (spec.owner, spec.worker)]
    except BadAddress:
        return False
    return [miner.name, miner.sector_size, *wished] == [
        name_read(spec.name),
        spec.sector_size,
        *(address_format(address_read(one)) for one in (named.owner, named.worker)),
    ]


@transaction.atomic
def create_miner_push(
    *,
    tenant: Tenant,
    name: str,
    owner: Address | str,
    worker: Address | str,
    seal_proof: RegisteredSealProof,
    deposit: int,
    message_id: str,
    by: Principal | None = None,
) -> Miner:
    """Push CreateMiner under `message_id` and give the miner's row; the same id gives the same row again.

    `deposit` (attoFIL) must cover StateMinerCreationDeposit.  Row and message are written together: there is
    no miner that is being created without a message.  Raises MinerTaken, and what `message_push` raises.
    """
    facts = {
        "tenant": tenant,
        "name": name,
        "owner": address_format(address_read(owner)),
        "worker": address_format(address_read(worker)),
        "seal_proof": int(seal_proof),
        "post_proof": int(seal_proof.window_post_proof),
        "sector_size": int(seal_proof.sector_size),
    }
    miner, is_new = Miner.objects.get_or_create(create_message_id=message_id, defaults=facts)
    if miner.tenant_id != tenant.pk:
        raise MinerTaken(
            gettext("message id {message_id} belongs to another tenant's miner").format(
                message_id=message_id
            ),
            field="message_id",
        )
    if miner.state != MinerState.CREATING:
        return miner
    message_push(
        principal=miner_principal(miner, by=by),
        id=message_id,
        to=POWER_ACTOR,
        from_=miner.owner,
        value=deposit,
        method=power.Method.CREATE_MINER,
        params=_params(owner=miner.owner, worker=miner.worker, proof=post_proof(miner.post_proof)),
        kind=KIND,
    )
    if is_new:
        after = {
            "tenant": tenant.name,
            "owner": miner.owner,
            "worker": miner.worker,
            "size": " ".join(size(miner.sector_size)),
            "deposit": fil_format(deposit),
        }
        audit_record(principal=by or SYSTEM, action="miner.create", target=miner.name, after=after)
    publish(Change("miner", miner.pk, miner.tenant_id))
    return miner


def _params(*, owner: str, worker: str, proof: RegisteredPoStProof) -> bytes:
    """Return the parameters of CreateMiner."""
    return to_cbor(
        power.CreateMinerParams(
            owner=address_parse(owner),
            worker=address_parse(worker),
            window_post_proof_type=proof,
            peer=b"",
            multiaddrs=(),
        )
    )


def creation_verdicts_read(plan: CreationPlan, *, principal: Principal, tenant: Tenant) -> Verdicts:
    """Return what the signer and the approval rules would do with the messages of a plan.

    Raises BadMessage, NodeUnavailable.
    """
    whose = replace(principal, tenant_id=tenant.pk, tenant_name=tenant.name)
    items = [
        PushItem(
            id=f"{KIND}-price:{uuid.uuid4()}",
            to=POWER_ACTOR,
            from_=plan.owner,
            value=plan.deposit,
            method=power.Method.CREATE_MINER,
            params=_params(owner=plan.owner, worker=plan.worker, proof=plan.proof.window_post_proof),
            kind=KIND,
        )
    ]
    if plan.worker_fund:
        fund = f"fund-worker-price:{uuid.uuid4()}"
        items.insert(
            0, PushItem(id=fund, to=plan.worker, from_=plan.owner, value=WORKER_FUND, method=METHOD_SEND)
        )
    return verdicts_read([(whose, item) for item in items], by=principal)
