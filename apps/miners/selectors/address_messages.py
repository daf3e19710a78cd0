"""Messages in flight that change a miner's addresses, whether the pool or another program pushed them.

The command lines of lotus-miner, damocles and venus-tool have no methods for these changes: they push the
miner's message, which comes here as any other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.db.models import Q, QuerySet

from apps.core.marked_texts import gettext
from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.rules.deal_addresses import multiaddrs_change_text, peer_change_text
from apps.miners.selectors.proposals import Act, act_read, proposals_open
from apps.users.selectors.tenants import operator_tenants
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_beneficiary import ChangeBeneficiaryParams
from poolsite.filecoin.actors.miner_control import (
    ChangeMultiaddrsParams,
    ChangeOwnerAddressParams,
    ChangePeerIDParams,
    ChangeWorkerAddressParams,
)
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.cbor import BadCbor

WORKER_METHODS: Final = (Method.CHANGE_WORKER_ADDRESS, Method.CHANGE_WORKER_ADDRESS_EXPORTED)
METHODS: Final = (
    *WORKER_METHODS,
    Method.CONFIRM_CHANGE_WORKER_ADDRESS,
    Method.CONFIRM_CHANGE_WORKER_ADDRESS_EXPORTED,
    Method.CHANGE_OWNER_ADDRESS,
    Method.CHANGE_OWNER_ADDRESS_EXPORTED,
    Method.CHANGE_BENEFICIARY,
    Method.CHANGE_BENEFICIARY_EXPORTED,
    Method.CHANGE_MULTIADDRS,
    Method.CHANGE_MULTIADDRS_EXPORTED,
    Method.CHANGE_PEER_ID,
    Method.CHANGE_PEER_ID_EXPORTED,
)
"""By their first numbers and by those that contracts call, which take any sender's messages as well."""
SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class AddressMessage:
    """One message that is not on chain yet."""

    message: Message
    method: int
    """Method number of the miner actor."""
    says: str
    """What it would change, in words."""


def address_messages(miner: Miner) -> list[AddressMessage]:
    """Return the messages that would change the miner's addresses, oldest first."""
    rows = [*messages_open(miner, METHODS)[:SHOWN_MAX], *(row for row, _ in proposals_open(miner, METHODS))]
    return [AddressMessage(row, act_read(row).method, address_change_describe(row)) for row in rows]


def messages_open(miner: Miner, methods: Collection[int]) -> QuerySet[Message]:
    """Return the messages to a miner with these methods that are not on chain yet, oldest first.

    Those of its tenant, of the operators and of the pool: another tenant's are its own business.
    """
    rows = Message.objects.filter(
        Q(tenant_id=miner.tenant_id) | Q(tenant=None) | Q(tenant__in=operator_tenants()),
        to__in=miner.names,
        method__in=methods,
        state__in=[MessageState.UNFILLED, MessageState.FILLED],
    )
    return rows.order_by("created_at")


def address_change_describe(row: Message) -> str:
    """Return what a message would change; of one whose parameters cannot be read, its method's name."""
    act = act_read(row)
    says = act_describe(act)
    if act.to == row.to:
        return says
    return gettext("proposal in {multisig}: {says}").format(multisig=row.to, says=says)


def act_describe(act: Act) -> str:
    """Return what an act would change of a miner; where its parameters cannot be read, its method's name."""
    params = act.params
    try:
        match act.method:
            case Method.CHANGE_WORKER_ADDRESS | Method.CHANGE_WORKER_ADDRESS_EXPORTED:
                worker = params_read(ChangeWorkerAddressParams, params)
                control = ", ".join(map(str, worker.new_control_addrs)) or gettext("none")
                return gettext("worker {new_worker}, control addresses: {control}").format(
                    new_worker=worker.new_worker, control=control
                )
            case Method.CHANGE_OWNER_ADDRESS | Method.CHANGE_OWNER_ADDRESS_EXPORTED:
                return gettext("owner {new_address}").format(
                    new_address=params_read(ChangeOwnerAddressParams, params).new_address
                )
            case Method.CHANGE_BENEFICIARY | Method.CHANGE_BENEFICIARY_EXPORTED:
                term = params_read(ChangeBeneficiaryParams, params)
                quota = fil_format(term.new_quota)
                return gettext("beneficiary {new_beneficiary}, {quota} until epoch {new_expiration}").format(
                    new_beneficiary=term.new_beneficiary, quota=quota, new_expiration=term.new_expiration
                )
            case Method.CHANGE_MULTIADDRS | Method.CHANGE_MULTIADDRS_EXPORTED:
                return multiaddrs_change_text(params_read(ChangeMultiaddrsParams, params))
            case Method.CHANGE_PEER_ID | Method.CHANGE_PEER_ID_EXPORTED:
                return peer_change_text(params_read(ChangePeerIDParams, params))
    except (BadCbor, ValueError):
        pass
    return str(method_name("miner", act.method) or gettext("method {method}").format(method=act.method))
