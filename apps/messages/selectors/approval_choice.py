"""Which messages a rule makes wait for a second person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from apps.core.reasons import Reason
from apps.messages.models import ApprovalRule, Message
from apps.messages.reasons import RULE_ABOVE, RULE_ANY_MESSAGE, RULE_ANY_METHOD, RULE_METHOD
from apps.messages.selectors.receivers import kind_from_address
from apps.users.selectors.grants import miners_owners
from poolsite.filecoin.actors import market, miner, miner_control, multisig, power
from poolsite.filecoin.actors.decode import ACTOR_METHODS, method_name
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.address import ID, address_parse
from poolsite.filecoin.amounts import TOTAL_FILECOIN, fil_format
from poolsite.filecoin.cbor import BadCbor, encode
from poolsite.filecoin.ethereum import METHOD_INVOKE_EVM, is_self_transfer
from poolsite.filecoin.message import METHOD_SEND

AUTOMATIC_KINDS: Final = frozenset(
    {"window_post", "recover", "declare_faults", "precommit", "commit", "snap_up", "extend", "compact"}
)
"""Purposes for which the pool sends by itself: only a rule that names the method makes these wait."""

AUTOMATIC_METHODS: Final = frozenset(
    {
        *(miner.Method.SUBMIT_WINDOWED_POST, miner.Method.DECLARE_FAULTS),
        *(miner.Method.DECLARE_FAULTS_RECOVERED, miner.Method.PRE_COMMIT_SECTOR_BATCH2),
        *(miner.Method.PROVE_COMMIT_SECTORS3, miner.Method.PROVE_COMMIT_SECTORS_NI),
        miner.Method.PROVE_REPLICA_UPDATES3,
    }
)
"""Methods of a miner that programs call around the clock, and pay deposits with."""

PROPOSE: Final = frozenset({multisig.Method.PROPOSE, multisig.Method.PROPOSE_EXPORTED})
NESTED_MAX: Final = 4
"""Proposals within proposals that are read; what is deeper may be anything."""
EXPORTED: Final = "Exported"
FIRST_EXPORTED: Final = 1 << 24
"""Lowest method number that contracts may call.  Source: fvm_shared FIRST_EXPORTED_METHOD_NUMBER."""


@dataclass(frozen=True, slots=True)
class Act:
    """What a message, or a proposal in it, does."""

    actor: str
    """Kind of the receiver; empty where it is not known."""
    method: int | None
    """None: it may be any."""
    moves: int
    """attoFIL: what it carries, or asks to be paid out."""
    carried: int = 0
    """attoFIL that a call other than a plain transfer carries."""
    to: str = ""
    """Receiver of `carried`."""
    keeper: str = ""
    """Address in the parameters whose escrow or new miner gets `carried`; empty: not known."""
    payer: str = ""
    decides_owner: bool = False
    """Whether it counts as more than any amount: it changes who gets a miner's or signs for a multisig's
    funds, or approves a payment that it does not name; nothing later asks again."""


ANYTHING: Final = Act("", None, TOTAL_FILECOIN)
"""What a proposal may do that is not read: an actor may read what is no canonical CBOR."""


def approval_rule_find(
    message: Message, *, rules: Sequence[ApprovalRule], receiver: str
) -> ApprovalRule | None:
    """Return the first rule that makes a message wait; None: none does.

    `receiver` is the kind of actor that it goes to.  Where that is not known, a rule fits by the rest of it.
    """
    mine = [rule for rule in rules if rule.tenant_id in (None, message.tenant_id)]
    if not mine or _moves_nothing(message):
        return None
    acts = list(_acts(message, receiver=receiver))
    if any(rule.method == METHOD_SEND for rule in mine):
        acts += [Act(act.actor, METHOD_SEND, act.carried) for act in acts if _leaves(act, message)]
    for rule in mine:
        fitting = any(_fits(rule, act) for act in acts)
        if fitting and (rule.method is not None or not _is_automatic(message, receiver=receiver)):
            return rule
    return None


def _is_automatic(message: Message, *, receiver: str) -> bool:
    """Return whether it seals or proves; what pays something to a miner of others is a payment first.

    A tenant's own miner is known to be one though no node has said so: no proof waits for that.
    """
    if message.kind in AUTOMATIC_KINDS:
        return True
    if receiver not in ("", "miner") or message.method not in AUTOMATIC_METHODS:
        return False
    if receiver and not message.value:
        return True
    return _is_own_miner(message.to, message)


def _leaves(act: Act, message: Message) -> bool:
    """Return whether the value of a call leaves the payer and the tenant's miners.

    It does not if it goes to the payer's own escrow or new miner, or to a tenant's own miner, whose owner may
    withdraw it.  Any other call may keep it, as a multisig does by any number of 2^24 and above (FIP-0062).
    """
    if not act.carried or message.kind in AUTOMATIC_KINDS:
        return False
    if act.keeper and act.keeper == act.payer:
        return False
    return not any(_is_own_miner(one, message) for one in (act.to, act.keeper) if one)


def _is_own_miner(address: str, message: Message) -> bool:
    """Return whether an address is a miner of the message's tenant."""
    to = address_parse(address)
    owner = miners_owners([to.actor_id]).get(to.actor_id) if to.protocol == ID else None
    return owner is not None and message.tenant_id in (None, owner)


def _keeper(kind: str, method: int, params: bytes) -> str:
    """Return whom the parameters credit with the value: an escrow's owner, or a new miner's."""
    form: Any = None
    if kind == "market" and method in _ESCROWS:
        form, name = market.AddBalanceParams, "address"
    elif kind == "power" and method in _CREATIONS:
        form, name = power.CreateMinerParams, "owner"
    if form is None:
        return ""
    try:
        return str(getattr(params_read(form, params), name))
    except (BadCbor, ValueError):
        return ""


def _moves_nothing(message: Message) -> bool:
    """Return whether it closes a nonce gap or cancels: held, it would hold up all that is signed."""
    return message.to == message.from_addr and not message.value and is_self_transfer(message.chain_message())


def _fits(rule: ApprovalRule, act: Act) -> bool:
    return (
        rule.actor in ("", act.actor or rule.actor)
        and (
            rule.method is None
            or act.method is None
            or act.method in _method_numbers(rule.actor, method=int(rule.method))
        )
        and (not rule.above or act.moves > rule.above or act.decides_owner)
    )


def _acts(message: Message, *, receiver: str) -> Iterator[Act]:
    """Yield what the message does, and what each proposal in it would do."""
    kind, method, value = receiver or kind_from_address(message.to), int(message.method), int(message.value)
    payer, to = str(message.from_addr), str(message.to)
    params: bytes | None = None
    for depth in range(NESTED_MAX):
        has_amount = method in _WITHDRAWALS.get(kind, ())
        is_proposal = kind in ("", "multisig") and method in PROPOSE
        is_credit = bool(value) and method in _CREDITS.get(kind, ())
        if params is None and (has_amount or is_proposal or is_credit or method == METHOD_INVOKE_EVM):
            params = bytes(message.params)
        amount = _amount_requested(params or b"") if has_amount else 0
        decides = (kind in ("", "miner") and method in _NEW_OWNERS) or (
            depth > 0
            and kind in ("", "multisig")
            and method in _NEW_SIGNERS  # it calls these of itself alone
        )
        keeper = _keeper(kind, method, params or b"") if is_credit else ""
        carried = 0 if method == METHOD_SEND else value
        yield Act(kind, method, max(value, amount), carried, to, keeper, payer, decides_owner=decides)
        if _is_transfer(kind, method, has_params=bool(params)):
            yield Act(kind, METHOD_SEND, value)
        if kind in ("", "multisig") and method in _APPROVALS:
            yield Act("multisig", METHOD_SEND, 0, decides_owner=True)
            yield Act("multisig", method, 0, decides_owner=True)
        if kind in ("", "power") and method in _CREATIONS:
            yield Act("power", method, value, decides_owner=True)
            # Deposits to a tenant's own miner need nobody: that it comes to be is decided by two, too.
            yield Act("miner", int(miner.Method.CONSTRUCTOR), value, decides_owner=True)
        if not is_proposal:
            return
        try:
            inner = params_read(multisig.ProposeParams, params or b"")
        except (BadCbor, ValueError):
            break
        payer, to = to, str(inner.to)
        kind, method, value = kind_from_address(to), int(inner.method), int(inner.value)
        params = inner.params
    yield ANYTHING


_MINER_WITHDRAWALS: Final = (miner.Method.WITHDRAW_BALANCE, miner.Method.WITHDRAW_BALANCE_EXPORTED)
_MARKET_WITHDRAWALS: Final = (market.Method.WITHDRAW_BALANCE, market.Method.WITHDRAW_BALANCE_EXPORTED)
_WITHDRAWALS: Final[dict[str, tuple[int, ...]]] = {
    "miner": _MINER_WITHDRAWALS,
    "market": _MARKET_WITHDRAWALS,
    "": (*_MINER_WITHDRAWALS, *_MARKET_WITHDRAWALS),
}
"""By kind of receiver; 3, the market's, is another method of a miner."""


_CREATIONS: Final = {power.Method.CREATE_MINER, power.Method.CREATE_MINER_EXPORTED}
_ESCROWS: Final = {market.Method.ADD_BALANCE, market.Method.ADD_BALANCE_EXPORTED}
_CREDITS: Final[dict[str, set[Any]]] = {"market": _ESCROWS, "power": _CREATIONS}

_APPROVALS: Final = {multisig.Method.APPROVE, multisig.Method.APPROVE_EXPORTED}
"""Methods that pay out what somebody proposed: the amount is not in the message."""

_NEW_OWNERS: Final = {
    miner.Method.CHANGE_OWNER_ADDRESS,
    miner.Method.CHANGE_OWNER_ADDRESS_EXPORTED,
    miner.Method.CHANGE_BENEFICIARY,
    miner.Method.CHANGE_BENEFICIARY_EXPORTED,
}


_NEW_SIGNERS: Final = {
    *(multisig.Method.ADD_SIGNER, multisig.Method.ADD_SIGNER_EXPORTED),
    *(multisig.Method.REMOVE_SIGNER, multisig.Method.REMOVE_SIGNER_EXPORTED),
    *(multisig.Method.SWAP_SIGNER, multisig.Method.SWAP_SIGNER_EXPORTED),
    multisig.Method.CHANGE_NUM_APPROVALS_THRESHOLD,
    multisig.Method.CHANGE_NUM_APPROVALS_THRESHOLD_EXPORTED,
}


def _is_transfer(kind: str, method: int, *, has_params: bool) -> bool:
    """Return whether a call is a transfer by another name.

    An account takes any exported number and does nothing else; an Ethereum account, or a contract that is
    called without parameters, gets the value by InvokeContract, as Ethereum transactions do it.
    """
    if kind == "account":
        return method >= FIRST_EXPORTED
    return kind in ("", "evm") and method == METHOD_INVOKE_EVM and not has_params


def _amount_requested(params: bytes) -> int:
    """Return what a withdrawal asks for, in attoFIL; all that there is where it cannot be read."""
    for form in (miner_control.WithdrawBalanceParams, market.WithdrawBalanceParams):
        try:
            read = params_read(form, params)
        except (BadCbor, ValueError):
            continue
        return int(getattr(read, "amount_requested", 0) or getattr(read, "amount", 0))
    return TOTAL_FILECOIN


@cache
def _method_numbers(actor: str, *, method: int) -> frozenset[int]:
    """Return the numbers under which a method is called: its own, and the one that contracts use."""
    found = {method}
    for kind in (actor,) if actor else ACTOR_METHODS:
        table = ACTOR_METHODS.get(kind, {})
        if method in table:
            name = table[method].name.removesuffix(EXPORTED)
            found |= {number for number, spec in table.items() if spec.name.removesuffix(EXPORTED) == name}
    return frozenset(found)


def approval_need_describe(message: Message, *, rules: Sequence[ApprovalRule], receiver: str) -> str:
    """Return the rule that makes a message wait for a second person; empty if none does."""
    rule = approval_rule_find(message, rules=rules, receiver=receiver)
    return "" if rule is None else approval_rule_describe(rule)


def approval_rule_describe(rule: ApprovalRule) -> Reason:
    """Return what a rule makes wait: `miner WithdrawBalance above 5 FIL`."""
    if rule.method is not None:
        what = RULE_METHOD(name=f"{rule.actor} {method_name(rule.actor, rule.method)}".strip())
    elif rule.actor:
        what = RULE_ANY_METHOD(actor=rule.actor)
    else:
        what = RULE_ANY_MESSAGE()
    return RULE_ABOVE(what=what, amount=fil_format(int(rule.above))) if rule.above else what


def amount_moved_compute(message: Message, *, receiver: str) -> int:
    """Return attoFIL that a message moves, as rules count it: carried, asked to be paid out, or proposed."""
    return max(act.moves for act in _acts(message, receiver=receiver))


def content_digest_compute(message: Message) -> str:
    """Return the SHA-256 of what an approval is for: sender, receiver, value, method and parameters."""
    content = [
        str(message.from_addr),
        str(message.to),
        str(int(message.value)),
        int(message.method),
        bytes(message.params),
    ]
    return hashlib.sha256(encode(content)).hexdigest()
