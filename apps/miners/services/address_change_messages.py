"""The message of each change of a miner's addresses: sender, method, parameters, and the change in words.

Source: builtin-actors miner change_worker_address, change_owner_address, change_beneficiary; lotus-miner
`actor set-addrs|set-peer-id|control|propose-change-worker|set-owner|propose-change-beneficiary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.core.errors import BadValue, Conflict
from apps.core.marked_texts import gettext
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.miners.rules.deal_addresses import (
    multiaddrs_change,
    multiaddrs_change_text,
    peer_change,
    peer_change_text,
)
from apps.miners.selectors.address_lookups import (
    account_key_read,
    address_require_final,
    addresses_resolve,
)
from apps.miners.selectors.addresses import MinerAddresses
from apps.miners.states import AddressChange
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_beneficiary import ChangeBeneficiaryParams
from poolsite.filecoin.actors.miner_control import ChangeOwnerAddressParams, ChangeWorkerAddressParams
from poolsite.filecoin.address import BLS, DELEGATED, Address, address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import to_cbor


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


def control_addresses_describe(addresses: Sequence[object]) -> str:
    """Return control addresses in words."""
    named = ", ".join(map(str, addresses)) or gettext("none")
    return gettext("control addresses: {named}").format(named=named)


def change_message_build(
    request: AddressRequest, *, now: MinerAddresses, client: ChainClient, height: int
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
            address_require_final(str(new), height=height, client=client)
            _signing_require(new, client=client)
            params_owner = ChangeOwnerAddressParams(new)
            summary = gettext("{new} is proposed as owner and must confirm").format(new=new)
            return now.owner, Method.CHANGE_OWNER_ADDRESS, to_cbor(params_owner), summary
        case AddressChange.OWNER_CONFIRM:
            if not now.pending_owner:
                raise Conflict(gettext("no owner change is pending"), field="change")
            params_owner = ChangeOwnerAddressParams(address_parse(now.pending_owner))
            summary = gettext("{pending_owner} becomes the owner; this cannot be undone").format(
                pending_owner=now.pending_owner
            )
            return now.pending_owner, Method.CHANGE_OWNER_ADDRESS, to_cbor(params_owner), summary
        case AddressChange.BENEFICIARY | AddressChange.BENEFICIARY_CONFIRM:
            return _beneficiary_change(request, now, client=client, height=height)
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
    control = addresses_resolve(request.addresses, client=client)
    for address in control:
        _signing_require(address, client=client)
    params = ChangeWorkerAddressParams(address_parse(now.worker), control)
    return now.owner, Method.CHANGE_WORKER_ADDRESS, to_cbor(params), control_addresses_describe(control)


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
    if address_parse(account_key_read(str(new), client=client)).protocol != BLS:
        reason = gettext("the worker must be a BLS key, an address that begins with f3")
        raise BadValue(reason, field="addresses")
    params = ChangeWorkerAddressParams(new, tuple(map(address_parse, now.control)))
    summary = gettext("{new} becomes the worker once confirmed, after the chain's delay").format(new=new)
    return now.owner, Method.CHANGE_WORKER_ADDRESS, to_cbor(params), summary


def _beneficiary_change(
    request: AddressRequest, now: MinerAddresses, *, client: ChainClient, height: int
) -> tuple[str, int, bytes, str]:
    change = now.pending_beneficiary
    if request.change == AddressChange.BENEFICIARY:
        new = _only(request, client=client)
        address_require_final(str(new), height=height, client=client)
        is_owner = str(new) == now.owner
        if not is_owner:
            _signing_require(new, client=client)
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
    summary = gettext("{sender} approves {change} as beneficiary").format(
        sender=sender, change=change.address
    )
    return sender, Method.CHANGE_BENEFICIARY, to_cbor(params), summary


def _signing_require(address: Address, *, client: ChainClient) -> None:
    """Refuse an Ethereum account: its key signs no method of a miner, so it could neither confirm nor send.

    A multisig and a contract have no key, and may; a contract as well has an f410 address, which nodes name
    as its key.  Raises BadValue.
    """
    name = str(address)
    try:
        key = client.state_account_key(name)
    except NodeRefused:
        return
    is_ethereum = address_parse(key).protocol == DELEGATED
    if is_ethereum and receiver_kinds_resolve([name], known=receiver_kinds([name])).get(name) != "evm":
        reason = gettext("{address} is an Ethereum key (f410), which signs no method of a miner")
        raise BadValue(reason.format(address=address), field="addresses")


def _only(request: AddressRequest, *, client: ChainClient) -> Address:
    named = request.addresses or ()
    if len(named) != 1:
        raise BadValue(gettext("give exactly one address"), field="addresses")
    return addresses_resolve(named, client=client)[0]
