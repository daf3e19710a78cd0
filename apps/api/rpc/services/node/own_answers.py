"""Methods about the caller's token, its keys and F3, which the pool answers in the place of its node.

Source: filecoin-project/lotus node/impl/common/common.go, api/api_errors.go; chain/stmgr/stmgr.go for keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.node.methods import LEVELS
from apps.api.rpc.services.node.proxy import node_call
from apps.core import clock
from apps.users.errors import TokenRefused
from apps.users.selectors.principals import principal_of_token
from apps.users.selectors.tokens import token_by_text
from apps.users.states import Perm, perms_up_to
from apps.wallets.selectors import wallets_visible
from poolsite.filecoin.address import BLS, DELEGATED, ID, SECP256K1, BadAddress, address_parse
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import TEXT, RpcMethod, params_decode

CODE_F3_DISABLED: Final = 4
"""EF3Disabled, at which a lotus-miner leaves F3 alone; at any other error it tries again for ever."""
F3_METHODS: Final = ("F3GetManifest", "F3GetOrRenewParticipationTicket", "F3Participate")
"""The methods by which a lotus-miner votes through its node."""


def auth_verify(call: Call, *params: Json) -> Json:
    """Return the levels of one of the pool's tokens.  Raises RpcError."""
    [text] = params_decode("Filecoin.AuthVerify", AUTH_VERIFY, list(params))
    row = token_by_text(text)
    if row is None:
        if call.principal.is_operator:
            return node_call(call, "AuthVerify", list(params))
        raise RpcError("JWT Verification failed: the pool has no such token")
    try:
        principal = principal_of_token(row, now=clock.now())
    except TokenRefused as error:
        raise RpcError(f"JWT Verification failed: {error.reason}") from None
    # Callers know levels only: a token with other limits counts as one for reading.
    return list(perms_up_to(Perm.READ if principal.is_limited else principal.perm))


def state_account_key(call: Call, *params: Json) -> Json:
    """Return the key of an account: of the caller's own wallets also while no node answers."""
    key = known_key(call, params)
    return node_call(call, "StateAccountKey", list(params)) if key is None else key


def known_key(call: Call, params: tuple[Json, ...]) -> str | None:
    """Return the key that an address now stands for, if the pool knows it."""
    if not params or not isinstance(params[0], str):
        return None
    if any(params[1:]):  # of an older tipset only a node knows
        return None
    try:
        address = address_parse(params[0])
    except BadAddress:
        return None
    if address.protocol in (SECP256K1, BLS, DELEGATED):
        return str(address)
    if address.protocol != ID:
        return None
    # What a reorganisation may have given to a stranger is unchecked until it was read anew.
    wallets = wallets_visible(call.principal).filter(actor_id=address.actor_id, checked_at__isnull=False)
    return wallets.values_list("address", flat=True).first()


def f3_method(method: str) -> Callable[..., Json]:
    """Return the handler of a method of F3: the pool votes for its miners itself, with their signers."""

    def handler(call: Call, *params: Json) -> Json:
        if call.principal.sees_pool or (call.principal.is_operator and LEVELS[method] == Perm.READ):
            return node_call(call, method, list(params))
        raise RpcError("f3 is disabled", code=CODE_F3_DISABLED)

    return handler


AUTH_VERIFY: Final = RpcMethod("read", auth_verify, (TEXT,))
HANDLERS: Final = {
    "AuthVerify": auth_verify,
    "StateAccountKey": state_account_key,
    **{name: f3_method(name) for name in F3_METHODS},
}
"""By the name without its prefix."""
