"""Owner, worker, control addresses and beneficiary of a miner: what is pending, and what a change costs.

Owner and beneficiary change in two steps by two senders; a worker's key after a delay and a confirmation.
Where clients reach the node that takes its deals the worker sets.
Source: builtin-actors miner change_worker_address, change_owner_address, change_beneficiary; lotus-miner
`actor set-addrs|set-peer-id|control|propose-change-worker|set-owner|propose-change-beneficiary`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.messages.errors import MessageIdTaken
from apps.messages.models import Message
from apps.messages.services.dry_run import message_dry_run
from apps.messages.services.push import message_push
from apps.messages.services.validate import PushItem
from apps.miners.deal_addresses import (
    multiaddrs_change,
    multiaddrs_change_text,
    multiaddrs_named,
    multiaddrs_text,
    peer_change,
    peer_change_text,
    peer_text,
)
from apps.miners.errors import MinerNotReady
from apps.miners.selectors import miner_principal
from apps.miners.states import AddressChange, MinerState
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_beneficiary import ChangeBeneficiaryParams
from poolsite.filecoin.actors.miner_control import ChangeOwnerAddressParams, ChangeWorkerAddressParams
from poolsite.filecoin.address import BLS, BadAddress, address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import from_cbor, to_cbor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from apps.messages.services.dry_run import DryRun
    from apps.miners.models import Miner
    from apps.users.principals import Principal
    from poolsite.filecoin.address import Address

CONTROL_MAX: Final = 10
"""Source: builtin-actors miner MAX_CONTROL_ADDRESSES."""
NOT_THEIRS: Final = "requires permission to sign for the miner's tenant"


@dataclass(frozen=True, slots=True)
class PendingBeneficiary:
    """A proposed beneficiary, and who has approved."""

    address: str
    quota: int
    expiration: int
    by_beneficiary: bool
    by_nominee: bool


@dataclass(frozen=True, slots=True)
class MinerAddresses:
    """What the chain says about a miner's addresses at the newest head, all as f0."""

    owner: str
    worker: str
    control: tuple[str, ...]
    beneficiary: str
    quota: int
    used_quota: int
    expiration: int
    new_worker: str
    """Empty: no change is pending."""
    worker_epoch: int
    """From here on the new worker can be confirmed."""
    pending_owner: str
    pending_beneficiary: PendingBeneficiary | None
    peer_id: str
    """Of the node that takes its deals, in base58; empty: none is announced."""
    multiaddrs: tuple[str, ...]
    """Where clients reach that node; in hexadecimal what is no multiaddress that is known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRequest:
    """What is to change."""

    change: str
    addresses: tuple[str, ...] | None = None
    """All control addresses or multiaddresses, the one new address, or the peer id; None, not named, for a
    confirmation."""
    quota: int = 0
    """Of a beneficiary, attoFIL."""
    expiration: int = 0
    """Of a beneficiary: first epoch in which its term no longer counts."""
    key: str = ""
    """Names the request, so that a double click sends one message."""


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """The message of a change, with what it would do and cost now."""

    item: PushItem
    run: DryRun
    says: str
    """What it changes, in words."""
    was: str
    """What the chain has now of it, in words."""


@dataclass(frozen=True, slots=True)
class SentChange:
    """The message of a change that was pushed."""

    message: Message
    plan: ChangePlan | None
    """None: it was pushed before, under the same key."""


def addresses_read(miner: Miner, *, client: ChainClient) -> MinerAddresses:
    """Ask a node.  Raises MinerNotReady, NodeRefused, NodeUnavailable."""
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    info = client.state_miner_info(miner.address)
    term, change = info.get("BeneficiaryTerm") or {}, info.get("PendingBeneficiaryTerm")
    return MinerAddresses(
        owner=info["Owner"],
        worker=info["Worker"],
        control=tuple(info["ControlAddresses"] or ()),
        beneficiary=info.get("Beneficiary") or info["Owner"],
        quota=int(term.get("Quota", 0)),
        used_quota=int(term.get("UsedQuota", 0)),
        expiration=int(term.get("Expiration", 0)),
        new_worker=_named(info.get("NewWorker")),
        worker_epoch=int(info.get("WorkerChangeEpoch", -1)),
        pending_owner=_named(info.get("PendingOwnerAddress")),
        pending_beneficiary=None
        if not change
        else PendingBeneficiary(
            address=change["NewBeneficiary"],
            quota=int(change["NewQuota"]),
            expiration=int(change["NewExpiration"]),
            by_beneficiary=bool(change["ApprovedByBeneficiary"]),
            by_nominee=bool(change["ApprovedByNominee"]),
        ),
        peer_id=info.get("PeerId") or "",
        multiaddrs=multiaddrs_named(info.get("Multiaddrs")),
    )


def _named(value: Any) -> str:
    """Return an address; empty for none, which nodes write as null or `<empty>`."""
    return value if isinstance(value, str) and value.startswith(("f", "t")) else ""


def may_change(principal: Principal, miner: Miner) -> bool:
    """Return whether somebody may change a miner's addresses: who signs for its tenant, no limited token."""
    is_theirs = principal.is_operator or principal.own_id == miner.tenant_id
    return principal.may("sign") and is_theirs and not principal.is_partial


def change_plan(
    miner: Miner, request: AddressRequest, *, principal: Principal, client: ChainClient, head: Head
) -> ChangePlan:
    """Return the message of a change and what it would cost; nothing is stored.

    Raises NotAllowed, BadValue and Conflict naming the field, NodeRefused, NodeUnavailable, and what a push
    would raise.
    """
    if not may_change(principal, miner):
        raise NotAllowed(NOT_THEIRS)
    now = addresses_read(miner, client=client)
    sender, method, params, says = _message_of(request, now, client=client, height=head.height)
    item = PushItem(
        id=_push_id(miner, request),
        to=miner.address,
        from_=_key_of(sender, client=client),
        method=method,
        params=params,
        kind="address_change",
    )
    run = message_dry_run(item, principal=miner_principal(miner), client=client, head=head)
    return ChangePlan(item, run, says, _present_text(request.change, now))


def _present_text(change: str, now: MinerAddresses) -> str:
    """Return what the chain has now of what a change is about."""
    if change == AddressChange.CONTROL:
        return _control_text(now.control)
    if change in (AddressChange.WORKER, AddressChange.WORKER_CONFIRM):
        return gettext("worker {worker}").format(worker=now.worker)
    if change in (AddressChange.OWNER, AddressChange.OWNER_CONFIRM):
        return gettext("owner {owner}").format(owner=now.owner)
    if change == AddressChange.PEER_ID:
        return peer_text(now.peer_id)
    if change == AddressChange.MULTIADDRS:
        return multiaddrs_text(now.multiaddrs)
    return gettext("beneficiary {beneficiary}").format(beneficiary=now.beneficiary)


def _control_text(addresses: Sequence[object]) -> str:
    """Return control addresses in words."""
    named = ", ".join(map(str, addresses)) or gettext("none")
    return gettext("control addresses: {named}").format(named=named)


def change_push(
    miner: Miner, request: AddressRequest, *, principal: Principal, client: ChainClient, head: Head
) -> SentChange:
    """Push a change's message; the same key again is the same message, on chain or not.

    Raises what `change_plan` raises, Conflict if the chain would refuse it now, and MessageIdTaken for a key
    that named another change.
    """
    if not may_change(principal, miner):
        raise NotAllowed(NOT_THEIRS)
    earlier = Message.objects.filter(tenant_id=miner.tenant_id, push_id=_push_id(miner, request)).first()
    if earlier is not None:
        if not _is_same(request, earlier, client=client):
            raise MessageIdTaken(gettext("this key was already used for a different change"), field="key")
        return SentChange(earlier, None)
    plan = change_plan(miner, request, principal=principal, client=client, head=head)
    if plan.run.exit_code:
        raise Conflict(
            gettext("the chain would refuse it: {error}").format(error=plan.run.error or plan.run.exit_code)
        )
    item = plan.item
    message = message_push(
        principal=miner_principal(miner),
        id=item.id,
        to=item.to,
        from_=item.from_,
        method=item.method,
        params=item.params,
        kind=item.kind,
    )
    audit_record(
        principal=principal,
        action="miner.address-change",
        target=miner.address,
        before={"addresses": plan.was},
        after={"addresses": plan.says, "change": request.change, "message": str(message.pk)},
    )
    return SentChange(message, plan)


def _push_id(miner: Miner, request: AddressRequest) -> str:
    return f"address-change:{miner.uuid}:{request.change}:{request.key}"


def _is_same(request: AddressRequest, message: Message, *, client: ChainClient) -> bool:
    """Return whether a message of this kind of change is what the request asks for.

    By what was named alone: what the chain said then may be otherwise meanwhile, as after it landed.
    """
    params = bytes(message.params)
    if request.change == AddressChange.MULTIADDRS:
        return params == to_cbor(multiaddrs_change(request.addresses))
    if request.change == AddressChange.PEER_ID:
        return params == to_cbor(peer_change(request.addresses))
    asked = _ids(request.addresses or (), client=client)
    match request.change:
        case AddressChange.CONTROL:
            return from_cbor(ChangeWorkerAddressParams, params).new_control_addrs == asked
        case AddressChange.WORKER:
            return (from_cbor(ChangeWorkerAddressParams, params).new_worker,) == asked
        case AddressChange.OWNER:
            return (from_cbor(ChangeOwnerAddressParams, params).new_address,) == asked
        case AddressChange.BENEFICIARY:
            term = from_cbor(ChangeBeneficiaryParams, params)
            named = (term.new_beneficiary, int(term.new_quota), term.new_expiration)
            return named == (*asked, request.quota, request.expiration)
    return True


def _message_of(
    request: AddressRequest, now: MinerAddresses, *, client: ChainClient, height: int
) -> tuple[str, int, bytes, str]:
    """Return sender, method, parameters and words of a change.  Raises BadValue, Conflict."""
    match request.change:
        case AddressChange.CONTROL:
            return _control_change(request, now, client=client)
        case AddressChange.WORKER:
            return _worker_change(request, now, client=client)
        case AddressChange.WORKER_CONFIRM:
            if not now.new_worker:
                raise Conflict(gettext("no worker change is pending"), field="change")
            if height < now.worker_epoch:
                raise Conflict(
                    gettext("it cannot be confirmed before epoch {worker_epoch}").format(
                        worker_epoch=now.worker_epoch
                    ),
                    field="change",
                )
            return (
                now.owner,
                Method.CONFIRM_CHANGE_WORKER_ADDRESS,
                b"",
                gettext("worker becomes {new_worker}").format(new_worker=now.new_worker),
            )
        case AddressChange.OWNER:
            new = _only(request, client=client)
            params_owner = ChangeOwnerAddressParams(new)
            says = gettext("{new} is proposed as owner and must confirm").format(new=new)
            return now.owner, Method.CHANGE_OWNER_ADDRESS, to_cbor(params_owner), says
        case AddressChange.OWNER_CONFIRM:
            if not now.pending_owner:
                raise Conflict(gettext("no owner change is pending"), field="change")
            params_owner = ChangeOwnerAddressParams(address_parse(now.pending_owner))
            says = gettext("{pending_owner} becomes the owner; this cannot be undone").format(
                pending_owner=now.pending_owner
            )
            return now.pending_owner, Method.CHANGE_OWNER_ADDRESS, to_cbor(params_owner), says
        case AddressChange.BENEFICIARY | AddressChange.BENEFICIARY_CONFIRM:
            return _beneficiary_change(request, now, client=client)
        case _:
            return _deal_change(request, now)


def _deal_change(request: AddressRequest, now: MinerAddresses) -> tuple[str, int, bytes, str]:
    """Return the message that announces where deals are taken."""
    match request.change:
        case AddressChange.MULTIADDRS:
            places = multiaddrs_change(request.addresses)
            return now.worker, Method.CHANGE_MULTIADDRS, to_cbor(places), multiaddrs_change_text(places)
        case AddressChange.PEER_ID:
            peer = peer_change(request.addresses)
            return now.worker, Method.CHANGE_PEER_ID, to_cbor(peer), peer_change_text(peer)
    raise BadValue(
        gettext("must be one of {values}").format(values=", ".join(AddressChange.values)), field="change"
    )


def _control_change(
    request: AddressRequest, now: MinerAddresses, *, client: ChainClient
) -> tuple[str, int, bytes, str]:
    if request.addresses is None:
        raise BadValue(gettext("required; an empty list removes all control addresses"), field="addresses")
    control = _ids(request.addresses, client=client)
    params = ChangeWorkerAddressParams(address_parse(now.worker), control)
    return now.owner, Method.CHANGE_WORKER_ADDRESS, to_cbor(params), _control_text(control)


def _worker_change(
    request: AddressRequest, now: MinerAddresses, *, client: ChainClient
) -> tuple[str, int, bytes, str]:
    if now.new_worker:
        raise Conflict(
            gettext("a change to {new_worker} is pending: confirm it first").format(
                new_worker=now.new_worker
            ),
            field="change",
        )
    new = _only(request, client=client)
    if address_parse(_key_of(str(new), client=client)).protocol != BLS:
        reason = gettext("the worker must be a BLS key, an address that begins with f3")
        raise BadValue(reason, field="addresses")
    params = ChangeWorkerAddressParams(new, tuple(map(address_parse, now.control)))
    says = gettext("{new} becomes the worker once confirmed, after the chain's delay").format(new=new)
    return now.owner, Method.CHANGE_WORKER_ADDRESS, to_cbor(params), says


def _beneficiary_change(
    request: AddressRequest, now: MinerAddresses, *, client: ChainClient
) -> tuple[str, int, bytes, str]:
    change = now.pending_beneficiary
    if request.change == AddressChange.BENEFICIARY:
        new = _only(request, client=client)
        is_owner = str(new) == now.owner
        if is_owner != (request.quota == 0) or is_owner != (request.expiration == 0):
            reason = gettext("quota and expiration must be 0 for the owner, and set for anyone else")
            raise BadValue(reason, field="quota")
        params = ChangeBeneficiaryParams(new, AttoFil(request.quota), request.expiration)
        return (
            now.owner,
            Method.CHANGE_BENEFICIARY,
            to_cbor(params),
            gettext("{new} is proposed as beneficiary").format(new=new),
        )
    if change is None:
        raise Conflict(gettext("no beneficiary change is pending"), field="change")
    params = ChangeBeneficiaryParams(address_parse(change.address), AttoFil(change.quota), change.expiration)
    sender = now.beneficiary if not change.by_beneficiary else change.address
    says = gettext("{sender} approves {change} as beneficiary").format(sender=sender, change=change.address)
    return sender, Method.CHANGE_BENEFICIARY, to_cbor(params), says


def _only(request: AddressRequest, *, client: ChainClient) -> Address:
    named = request.addresses or ()
    if len(named) != 1:
        raise BadValue(gettext("give exactly one address"), field="addresses")
    return _ids(named, client=client)[0]


def _ids(addresses: Sequence[str], *, client: ChainClient) -> tuple[Address, ...]:
    """Resolve addresses to f0.  Raises BadValue for one that is none or that the chain does not know."""
    if len(addresses) > CONTROL_MAX:
        raise BadValue(gettext("at most {most} addresses").format(most=CONTROL_MAX), field="addresses")
    found = []
    for text in addresses:
        try:
            found.append(address_parse(client.state_lookup_id(str(address_parse(text)))))
        except BadAddress:
            raise BadValue(
                gettext("{text} is not an address").format(text=text[:100]), field="addresses"
            ) from None
        except NodeRefused:
            reason = gettext("{text} does not exist on chain: send it FIL first").format(text=text[:100])
            raise BadValue(reason, field="addresses") from None
    return tuple(found)


def _key_of(address: str, *, client: ChainClient) -> str:
    """Return the key behind an ID.  Raises BadValue for an actor without one, such as a multisig."""
    try:
        return client.state_account_key(address)
    except NodeRefused:
        reason = gettext("{address} has no key of its own: propose the message in its multisig").format(
            address=address
        )
        raise BadValue(reason, field="addresses") from None
