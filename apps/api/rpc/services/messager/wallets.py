"""`Message.*`: wallets that the pool connects to, as messagers before v1.1 keep them.

Source: filecoin-project/venus-messager v1.0.5 api/client/api.go, types/wallet.go, service/wallet_service.go.
Its `UpdateWallet` is in the client alone: no messager serves it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.answers import time_text
from apps.api.rpc.services.messager.json_values import optional
from apps.core.errors import Conflict, NotAllowed, NotFound
from apps.messages.errors import RECORD_NOT_FOUND
from apps.messages.selectors.senders import senders_visible
from apps.users.selectors.tenants import tenant_by_name
from apps.wallets.selectors import remote_wallet_keys, remote_wallets
from apps.wallets.services.remote_wallets import remote_wallet_add, remote_wallet_remove
from poolsite.filecoin.address import Address, address_format
from poolsite.wire.jsonrpc.parameters import Param, fields, text

if TYPE_CHECKING:
    from apps.messages.models import Sender
    from apps.wallets.models import RemoteWallet

ALIVE, FORBIDDEN = 1, 4
"""States of a wallet and of its addresses; those of a removal, between them, are never seen."""
NOT_DELETED: Final = -1
SAVED_BEFORE: Final = "record exist"


@dataclass(frozen=True, slots=True)
class WalletParam:
    """Wallet; its id, state and times are the pool's own."""

    name: str
    url: str
    token: str


def wallet(value: Any) -> WalletParam:
    """Read Wallet.  Raises BadParam."""
    row = fields(value)
    return WalletParam(*(optional(row.get(name), text, "") for name in ("name", "url", "token")))


WALLET: Final = Param("**types.Wallet", wallet)


def save_wallet(call: Call, wanted: WalletParam) -> str:
    """Connect a wallet of the caller's tenant; its token is kept encrypted."""
    _whole_check(call)
    if any(row.name == wanted.name.strip() for row in _own(call)):
        raise Conflict(SAVED_BEFORE, field="name")
    row = remote_wallet_add(
        principal=call.principal,
        tenant=tenant_by_name(call.principal.tenant_name),
        name=wanted.name,
        url=wanted.url,
        token=wanted.token,
    )
    return str(row.uuid)


def get_wallet_by_name(call: Call, name: str) -> dict[str, Any]:
    """Return a wallet; its token is never shown."""
    return wallet_json(_named(call, name))


def get_wallet_by_id(call: Call, id_: str) -> dict[str, Any]:
    """Return a wallet; its token is never shown."""
    row = remote_wallets(call.principal).filter(uuid=id_).first()
    if row is None:
        raise _missing(id_, field="id")
    return wallet_json(row)


def has_wallet(call: Call, name: str) -> bool:
    """Return whether there is a wallet of this name."""
    return remote_wallets(call.principal).filter(name=name).exists()


def list_wallet(call: Call) -> list[dict[str, Any]]:
    """List the caller's wallets."""
    return [wallet_json(row) for row in remote_wallets(call.principal)]


def list_remote_wallet_address(call: Call, name: str) -> list[str]:
    """List the keys of a wallet that sign for the pool now."""
    row = _named(call, name)
    return remote_wallet_keys([row]).get(row.pk, [])


def delete_wallet(call: Call, name: str) -> str:
    """Disconnect a wallet for good, and forget its token."""
    _whole_check(call)
    remote_wallet_remove(principal=call.principal, uuid=_named(call, name).uuid)
    return name


def has_wallet_address(call: Call, name: str, address: Address) -> bool:
    """Return whether a wallet has a key."""
    row = _named(call, name)
    return address_format(address) in remote_wallet_keys([row]).get(row.pk, ())


def get_wallet_address(call: Call, name: str, address: Address) -> dict[str, Any]:
    """Return what a messager keeps of a wallet's key."""
    row, key = _named(call, name), address_format(address)
    sender = senders_visible(call.principal).filter(address=key).first()
    if sender is None or key not in remote_wallet_keys([row]).get(row.pk, ()):
        raise _missing(key, field="addr")
    return wallet_address_json(row, sender)


def list_wallet_address(call: Call) -> list[dict[str, Any]]:
    """List the keys of all wallets from which messages were sent."""
    rows = list(remote_wallets(call.principal))
    keys = remote_wallet_keys(rows)
    wanted = {key for held in keys.values() for key in held}
    senders = {
        sender.address: sender for sender in senders_visible(call.principal).filter(address__in=wanted)
    }
    return [
        wallet_address_json(row, senders[key])
        for row in rows
        for key in keys.get(row.pk, ())
        if key in senders
    ]


def wallet_json(row: RemoteWallet) -> dict[str, Any]:
    """Return a Wallet as JSON."""
    return {
        "id": str(row.uuid),
        "name": row.name,
        "url": row.url,
        "token": "",
        "state": ALIVE if row.is_enabled else FORBIDDEN,
        "isDeleted": NOT_DELETED,
        "createAt": time_text(row.created_at),
        "updateAt": time_text(row.updated_at),
    }


def wallet_address_json(row: RemoteWallet, sender: Sender) -> dict[str, Any]:
    """Return a WalletAddress as JSON; its id follows from both it joins."""
    return {
        "id": str(uuid.uuid5(row.uuid, str(sender.uuid))),
        "walletID": str(row.uuid),
        "addrID": str(sender.uuid),
        "addressState": ALIVE if sender.state == "ALIVE" and row.is_enabled else FORBIDDEN,
        "selMsgNum": sender.quota,
        "isDeleted": NOT_DELETED,
        "createAt": time_text(row.created_at),
        "updateAt": time_text(sender.updated_at),
    }


def _own(call: Call) -> list[RemoteWallet]:
    """Return the wallets of the caller's own tenant, also of an operator, who sees all."""
    return [row for row in remote_wallets(call.principal) if row.tenant.name == call.principal.tenant_name]


def _named(call: Call, name: str) -> RemoteWallet:
    """Return a wallet by its name: one of the caller's tenant, else the only one that it sees.

    Raises NotFound, and Conflict where an operator sees several.
    """
    found = [row for row in remote_wallets(call.principal) if row.name == name]
    own = [row for row in found if row.tenant.name == call.principal.tenant_name]
    if own:
        return own[0]
    if not found:
        raise _missing(name, field="name")
    if len(found) > 1:
        names = ", ".join(row.tenant.name for row in found)
        raise Conflict(f"several tenants have a wallet of this name: {names}", field="name")
    return found[0]


def _missing(wanted: str, *, field: str) -> NotFound:
    """Return the refusal, to old clients in the messager's words."""
    return NotFound(f"there is no remote wallet {wanted[:100]}", field=field, wire=RECORD_NOT_FOUND)


def _whole_check(call: Call) -> None:
    """Refuse a token for some miners or signers.  Raises NotAllowed."""
    if call.principal.is_partial:
        raise NotAllowed("this token is limited to certain miners or signers")
