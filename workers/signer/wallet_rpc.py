"""The wallet JSON-RPC: `Filecoin.Wallet*`, password, records, as lotus and venus tools call it.

Source: filecoin-project/venus venus-shared/api/wallet/{full,wallet,common}.go; texts of
filecoin-project/venus-wallet.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from websockets.exceptions import ConnectionClosed

from poolsite.filecoin.jwt import BadToken, Claims, token_sign
from poolsite.filecoin.keys import KEY_TYPES, BadKey, KeyInfo, key_from_json, key_generate, key_to_json
from poolsite.filecoin.signature import signature_to_json
from poolsite.wire.jsonrpc.messages import CODE_APPLICATION, Json, RpcError, method_missing, perm_missing
from poolsite.wire.jsonrpc.parameters import (
    ADDRESS,
    BYTES,
    OBJECT,
    TEXT,
    BadParam,
    Param,
    RpcMethod,
    blob,
    list_of,
    params_decode,
)
from workers.signer.callers import Caller, opened
from workers.signer.errors import Denied, GatewayRefused, SignerError
from workers.signer.gateway_rpc import add_new_address, add_support_account
from workers.signer.password_rpc import lock, lock_state, set_password, unlock, verify_password
from workers.signer.records_rpc import list_signed_record
from workers.signer.strategy_rpc import STRATEGY_METHODS, strategy_refusal
from workers.signer.tokens import token_perms

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address

VERSION: Final = {"Version": "1.20.0+poolsite", "APIVersion": 0x010100}
LOG_SYSTEM: Final = "signer"
LOG_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
"""Levels as Go names them."""
OF_KNOWN: Final = frozenset({"Filecoin.ListSignedRecord"})
"""Of level read, but a page of any host could ask this machine for it."""


@dataclass(slots=True)
class WalletDispatcher:
    """One caller's way in."""

    caller: Caller

    async def __call__(self, method: str, params: list[Json], *, on_socket: bool) -> tuple[Json, bool]:  # noqa: ARG002  # no method here is a channel
        """Carry out one call; key work goes to a thread, it takes up to a second.  Raises RpcError."""
        row = METHODS.get(method)
        if row is None:
            raise method_missing(method)
        if row.perm not in self.caller.perms or not self.may(method, row):
            raise perm_missing(method, row.perm)
        arguments = params_decode(method, row, params)
        try:
            if inspect.iscoroutinefunction(row.handler):
                return await row.handler(self.caller, *arguments), row.void
            return await asyncio.to_thread(row.handler, self.caller, *arguments), row.void
        except (SignerError, BadKey, TimeoutError, ConnectionClosed) as error:
            code = error.code if isinstance(error, GatewayRefused) else CODE_APPLICATION
            raise RpcError(str(error) or type(error).__name__, code=code) from None

    def may(self, method: str, row: RpcMethod) -> bool:
        """Return what levels do not: nobody without a token reads records, no token of a set reaches keys."""
        if not self.caller.is_known and method in OF_KNOWN:
            return False
        return row.perm != "admin" or not self.caller.rule_set


def wallet_new(caller: Caller, key_type: str) -> str:
    """Make a key."""
    if key_type not in KEY_TYPES:
        raise SignerError("invalid signature type: 255")
    return opened(caller).store.add(key_generate(key_type))


def wallet_has(caller: Caller, address: Address) -> bool:
    """Return whether there is such a key."""
    return caller.may_see(str(address)) and caller.signer.store.has(str(address))


def wallet_list(caller: Caller) -> list[str]:
    """List the addresses."""
    return [entry.address for entry in caller.signer.store.entries() if caller.may_see(entry.address)]


def wallet_sign(caller: Caller, address: Address, to_sign: bytes, meta: Mapping[str, Json]) -> Json:
    """Sign something, by the same policy as for a gateway."""
    try:
        extra = blob(meta.get("extra"))
    except BadParam as error:
        raise SignerError(f"Extra: {error}") from None
    meta_type = str(meta.get("type") or "")
    try:
        signature = opened(caller).sign(
            address=str(address),
            to_sign=to_sign,
            meta_type=meta_type,
            extra=extra,
            caller=caller.description,
            rule_set=caller.rule_set,
        )
    except Denied as denied:
        refusal = strategy_refusal(caller, str(address), meta_type, denied)
        if refusal:
            raise Denied(refusal) from None
        raise
    return signature_to_json(signature)


def wallet_export(caller: Caller, address: Address) -> Json:
    """Return a private key."""
    return key_to_json(opened(caller).store.key(str(address)))


def wallet_import(caller: Caller, info: KeyInfo) -> str:
    """Import a private key."""
    return opened(caller).store.add(info)


def wallet_delete(caller: Caller, address: Address) -> None:
    """Delete a key."""
    opened(caller).store.delete(str(address))


def auth_new(caller: Caller, perms: list[str]) -> str:
    """Make a token; Go gives it as bytes, so base64 of its text."""
    text = token_sign(Claims(allow=tuple(perms), rule_set=caller.rule_set), caller.secret)
    return base64.b64encode(text.encode()).decode()


def auth_verify(caller: Caller, token: str) -> list[str]:
    """Read what a token allows."""
    try:
        return list(token_perms(token, caller.secret))
    except BadToken as error:
        raise SignerError(f"JWT Verification failed: {error}") from None


def log_list(_caller: Caller) -> list[str]:
    """Name the parts that log: the signer is one."""
    return [LOG_SYSTEM]


def log_set_level(_caller: Caller, system: str, level: str) -> None:
    """Choose what is logged from now on."""
    if system not in {LOG_SYSTEM, "*"}:
        raise SignerError(f"no such log system: {system}")
    if level.lower() not in LOG_LEVELS:
        raise SignerError(f"unrecognized level: {level!r}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(LOG_LEVELS[level.lower()]))


def version(_caller: Caller) -> Json:
    """Return what we speak."""
    return VERSION


def key_info(value: Json) -> KeyInfo:
    """Read a KeyInfo parameter."""
    try:
        return key_from_json(value)
    except BadKey as error:
        raise BadParam(str(error)) from None


KEY_INFO: Final = Param("*types.KeyInfo", key_info)

METHODS: Final[dict[str, RpcMethod]] = {
    f"Filecoin.{name}": row
    for name, row in {
        "WalletNew": RpcMethod("admin", wallet_new, (TEXT,)),
        "WalletHas": RpcMethod("read", wallet_has, (ADDRESS,)),
        "WalletList": RpcMethod("read", wallet_list),
        "WalletSign": RpcMethod("sign", wallet_sign, (ADDRESS, BYTES, OBJECT)),
        "WalletExport": RpcMethod("admin", wallet_export, (ADDRESS,)),
        "WalletImport": RpcMethod("admin", wallet_import, (KEY_INFO,)),
        "WalletDelete": RpcMethod("admin", wallet_delete, (ADDRESS,), void=True),
        "SetPassword": RpcMethod("admin", set_password, (TEXT,), void=True),
        "Unlock": RpcMethod("admin", unlock, (TEXT,), void=True),
        "Lock": RpcMethod("admin", lock, (TEXT,), void=True),
        "LockState": RpcMethod("admin", lock_state),
        "VerifyPassword": RpcMethod("admin", verify_password, (TEXT,), void=True),
        "AuthNew": RpcMethod("admin", auth_new, (list_of(TEXT),)),
        "AuthVerify": RpcMethod("read", auth_verify, (TEXT,)),
        "Version": RpcMethod("read", version),
        "AddSupportAccount": RpcMethod("admin", add_support_account, (TEXT,), void=True),
        "AddNewAddress": RpcMethod("admin", add_new_address, (list_of(ADDRESS),), void=True),
        "LogList": RpcMethod("read", log_list),
        "LogSetLevel": RpcMethod("write", log_set_level, (TEXT, TEXT), void=True),
        "ListSignedRecord": RpcMethod("read", list_signed_record, (OBJECT,)),
        **STRATEGY_METHODS,
    }.items()
}
"""The methods that venus-wallet serves at /rpc/v0, and those of its strategies before 1.9."""
