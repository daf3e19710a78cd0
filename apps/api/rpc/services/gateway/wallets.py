"""`Gateway.*` of wallets: signers listen with their keys, services have them sign.

Source: filecoin-project/venus venus-shared/api/gateway/v1, v2; sophon-gateway walletevent/.
"""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final

import structlog
from django.db import Error as DatabaseError

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.gateway.channels import listen, providers_of, quota_check, require
from apps.core.errors import DomainError, NotAllowed
from apps.core.sanitize import sanitize_text
from apps.gateway.errors import NoProvider
from apps.gateway.hub.client import hub_database
from apps.gateway.hub.hedging import is_repeatable
from apps.gateway.hub.requests import Deadline, HubRequest
from apps.gateway.hub.routes import NOT_CONNECTED, wallet_route
from apps.gateway.providers.hub_node import hub_node
from apps.gateway.providers.wallet import WalletProvider
from apps.gateway.services.signatures import wallet_has
from apps.messages.selectors.signature_checks import bytes_signature_check
from apps.messages.services.senders import sender_other_note
from apps.users.selectors.approvals import accounts_missing
from apps.users.selectors.grants import signer_granted
from apps.wallets.rules.limits import bytes_check
from apps.wallets.services.sign import bytes_record
from apps.wallets.services.sign_requests import META_MESSAGE
from poolsite.filecoin.address import Address
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import TEXT, blob, list_of, text

log = structlog.get_logger(__name__)

REQUESTED_BY: Final = "gateway interface"
SIGN_S: Final = 30.0
"""Time for a signature."""
SIGN_BYTES_LEN: Final = 32
"""Bytes of a wallet's half of the challenge."""
ACCOUNTS_MAX: Final = 200
"""Accounts that one wallet may ask to serve."""


async def listen_wallet(call: Call, policy: dict[str, Json]) -> AsyncIterator[Json]:
    """Open a wallet's channel; every account that it names must exist and be enabled."""
    providers_of(call)
    quota_check(call)
    supported = require(policy, "SupportAccounts", list_of(TEXT).decode)
    if len(supported) > ACCOUNTS_MAX:
        raise RpcError(f"SupportAccounts: at most {ACCOUNTS_MAX}")
    sign_bytes = require(policy, "SignBytes", blob)
    if len(sign_bytes) != SIGN_BYTES_LEN:
        raise RpcError(f"SignBytes: must have {SIGN_BYTES_LEN} bytes")
    names = list(dict.fromkeys([*supported, call.principal.tenant_name]))
    missing = await hub_database(accounts_missing, names)
    if missing:
        raise RpcError(f"verify user [{' '.join(names)}] failed: verify {missing[0]}: Key not found")
    provider = WalletProvider(hub_node(), call.principal, supported=supported, sign_bytes=sign_bytes)
    return listen(call, provider)


def wallet_of(call: Call, channel: str) -> WalletProvider | None:
    """Find a wallet's channel of this socket."""
    provider = providers_of(call).get(channel)
    return provider if isinstance(provider, WalletProvider) else None


def wallet_required(call: Call, channel: str) -> WalletProvider:
    """Find it.  Raises RpcError."""
    wallet = wallet_of(call, channel)
    if wallet is None:
        name = call.principal.tenant_name
        raise RpcError(f"no connect found for wallet {name} and channelID {channel}")
    return wallet


async def add_new_address(call: Call, channel: str, addresses: list[Address]) -> None:
    """Verify new keys, within the call: the wallet answers on the same socket meanwhile."""
    await wallet_required(call, channel).addresses_add([str(one) for one in addresses])


async def remove_address(call: Call, channel: str, addresses: list[Address]) -> None:
    """Remove keys of the wallet."""
    wallet = wallet_of(call, channel)
    if wallet is None:
        raise RpcError(f"channel {channel} not found ")
    await wallet.addresses_remove([str(one) for one in addresses])


async def support_new_account(call: Call, channel: str, account: str) -> None:
    """Add an account that the wallet serves, if that approved."""
    wallet = wallet_required(call, channel)  # first: over a POST nobody learns who has an account
    missing = await hub_database(accounts_missing, [account])
    if missing:
        raise RpcError(f"verify user [{account}] failed: verify {account}: Key not found")
    await wallet.account_support(account)


def accounts_allowed(call: Call, accounts: Iterable[str]) -> list[str]:
    """Check that a caller asks only for accounts of its own; the operator's programs may for all."""
    names = list(accounts)
    foreign = [name for name in names if name != call.principal.tenant_name]
    if foreign and not call.principal.is_operator:
        raise NotAllowed(
            f"user {foreign[0]} in the request doesn't match {call.principal.tenant_name} in the system: "
            "permission deny"
        )
    return names


async def is_granted(call: Call, signer: Address) -> bool:
    """Return whether the caller's tenant may use a key: a signer serves an account with some keys alone."""
    if call.principal.is_operator:
        return True
    tenant_id = call.principal.own_id
    return bool(await hub_database(signer_granted, tenant_id=tenant_id, address=signer))


async def has_wallet(call: Call, signer: Address, accounts: list[str]) -> bool:
    """Return whether somebody can sign with this key for one of the accounts."""
    names = accounts_allowed(call, accounts)
    if not call.principal.may_sign_with(str(signer)) or not await is_granted(call, signer):
        return False
    return bool(await hub_database(wallet_has, str(signer), accounts=names))


async def has_wallet_v1(call: Call, account: str, signer: Address) -> bool:
    """Return the same in its old form."""
    return await has_wallet(call, signer, [account])


async def sign(
    call: Call, signer: Address, accounts: list[str], to_sign: bytes, meta: dict[str, Json]
) -> Json:
    """Sign with a connected wallet; the answer is its own JSON."""
    names = accounts_allowed(call, accounts)
    extra, meta_type = require(meta, "Extra", blob), require(meta, "Type", text)
    bytes_check(call.principal, address=str(signer), to_sign=to_sign, meta_type=meta_type, extra=extra)
    if not await is_granted(call, signer):
        raise NoProvider(NOT_CONNECTED)
    await hub_database(
        bytes_signature_check,
        address=str(signer),
        accounts=[*names, call.principal.tenant_name],
        is_operator=call.principal.is_operator,
        to_sign=to_sign,
        meta_type=meta_type,
        extra=extra,
    )
    payload = {
        "Signer": str(signer),
        "ToSign": base64.b64encode(to_sign).decode(),
        "Meta": {
            "Type": meta_type,
            "Extra": base64.b64encode(extra).decode() if extra else None,
        },
    }
    request = HubRequest(
        wallet_route(str(signer)),
        names,
        "WalletSign",
        payload,
        is_repeatable=is_repeatable("WalletSign", str(signer)),
    )
    start = time.monotonic()

    async def record(*, error: str = "", rule: str = "") -> None:
        try:
            await hub_database(
                bytes_record,
                address=str(signer),
                meta_type=meta_type,
                to_sign=to_sign,
                tenant_id=call.principal.tenant_id,
                asked_by=REQUESTED_BY,
                ms=int((time.monotonic() - start) * 1000),
                error=error,
                rule=rule,
            )
            if meta_type == META_MESSAGE and not error:
                await hub_database(sender_other_note, str(signer))
        except DatabaseError as failure:  # a signature that is there is worth more than its record
            log.warning("signature_not_recorded", address=str(signer), reason=str(failure))

    try:
        answer = await hub_node().request(request, deadline=Deadline(SIGN_S))
    except DomainError as refusal:
        await record(error=refusal.reason)
        raise
    await record(rule=sanitize_text(str(answer.get("Rule", "") if isinstance(answer, dict) else "")))
    return answer


async def sign_v1(call: Call, account: str, signer: Address, to_sign: bytes, meta: dict[str, Json]) -> Json:
    """Return the same in its old form."""
    return await sign(call, signer, [account], to_sign, meta)
