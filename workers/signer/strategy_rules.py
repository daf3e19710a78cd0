"""Key binds and groups of strategies as rules and sets of the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import structs

from poolsite.filecoin.actors.decode import ACTOR_METHODS
from poolsite.wire.policy import RuleForm
from workers.signer.callers import STRATEGY_CALLERS
from workers.signer.errors import SignerError
from workers.signer.policy import ANY, matches
from workers.signer.sign_request import VERIFY_ADDRESS

if TYPE_CHECKING:
    from workers.signer.policy import Policy

CODES: Final = (
    *("unknown", "message", "block", "dealproposal", "drawrandomparam", "signedvoucher", "storageask"),
    *("askresponse", "networkresposne", "providerdealstate", "clientdeal"),
)
"""Types of things by their code; a mask has bit `code` for each."""
CODE_NAMES: Final = (
    *("unknown", "chainMsg", "block", "dealProposal", "drawRandomParam", "signedVoucher", "storageAsk"),
    *("askResponse", "netWorkResponse", "providerDealState", "clientDeal"),
)
"""What the command line calls them."""
SEND: Final = "Send"
METHOD_NAMES: Final = (
    SEND,
    *sorted({spec.name for methods in ACTOR_METHODS.values() for spec in methods.values()} - {SEND}),
)
"""Methods as strategies name them, without their actor."""
NO_METHOD: Final = "(none)"
"""Stands in a rule that allows no method: an empty list would allow all."""
NAME_MAX: Final = {"msgTypeTemplate": 36, "methodTemplate": 32, "keybind": 32, "group": 32}
BIND, GROUP = "keybind ", "group "
"""How the names of rules and sets begin that are strategies'."""
NOT_PASSED: Final = "this metaType or method is not allowed to pass"
MISSING: Final = "data not exists"
NO_GROUP: Final = "(no token)"
"""Of callers without a good strategy token, where there are strategies; no group is called so."""


@dataclass(frozen=True, slots=True)
class KeyBind:
    """What may be signed with one key."""

    number: int
    name: str
    address: str
    types: tuple[str, ...]
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Key binds that a token gives together."""

    number: int
    name: str
    binds: tuple[KeyBind, ...]


def set_name(group: str) -> str:
    """Name the set of a group."""
    return GROUP + group


def types_of(codes: Iterable[int]) -> tuple[str, ...]:
    """Return types by their codes.  Raises SignerError."""
    found = []
    for code in codes:
        if not 0 <= code < len(CODES):
            raise SignerError("code over flow")
        found.append(CODES[code])
    return tuple(dict.fromkeys(found))


def mask_of(types: Iterable[str]) -> int:
    """Return the mask of types."""
    return sum(1 << CODES.index(kind) for kind in types)


def methods_checked(methods: Iterable[str]) -> tuple[str, ...]:
    """Return methods that there are.  Raises SignerError."""
    found = tuple(dict.fromkeys(methods))
    for name in found:
        if name not in METHOD_NAMES:
            raise SignerError(f"method name illegal: {name}")
    return found


def name_checked(kind: str, name: str) -> str:
    """Return a name that fits.  Raises SignerError."""
    if not name:
        raise SignerError("nil reference")
    if len(name) > NAME_MAX[kind] or not name.isprintable():
        raise SignerError(f"{kind} name too long or not printable: {name[:50]!r}")
    return name


def binds_in(policy: Policy) -> Iterator[KeyBind]:
    """Read the key binds of a policy."""
    rules = (rule for rule in policy.rules if rule.name.startswith(BIND))
    for number, rule in enumerate(rules, 1):
        yield KeyBind(
            number,
            rule.name.removeprefix(BIND),
            rule.keys[0],
            tuple(kind for kind in rule.types if kind in CODES),
            tuple(one.removeprefix("*.") for one in rule.methods if one != NO_METHOD),
        )


def bind_form(bind: KeyBind) -> RuleForm:
    """Write a key bind as a rule."""
    return RuleForm(
        name=BIND + bind.name,
        types=bind.types or (VERIFY_ADDRESS,),
        keys=(bind.address,),
        methods=_patterns(bind.methods) or (NO_METHOD,),
        callers=(STRATEGY_CALLERS,),
    )


def form_types_change(form: RuleForm, types: tuple[str, ...], *, is_added: bool) -> RuleForm:
    """Add types to a rule, or take them out; all else stays."""
    others = tuple(one for one in form.types if one not in (*types, VERIFY_ADDRESS))
    return structs.replace(form, types=((*others, *types) if is_added else others) or (VERIFY_ADDRESS,))


def form_methods_change(form: RuleForm, methods: tuple[str, ...], *, is_added: bool) -> RuleForm:
    """Add methods to a rule, or take them out; one that its owner limited to an actor stays so.

    Raises SignerError for a method that could be called all the same, by a pattern of the owner's.
    """
    held = tuple(one for one in form.methods if one != NO_METHOD) if form.methods else (ANY,)
    if is_added:
        return structs.replace(
            form, methods=(*held, *_patterns(one for one in methods if not _is_allowed(one, held)))
        )
    left = tuple(one for one in held if one.rpartition(".")[2] not in methods)
    for method in methods:
        if _is_allowed(method, left):
            raise SignerError(f"other methods of this rule include {method}: change the rule in the policy")
    return structs.replace(form, methods=left or (NO_METHOD,))


def _patterns(methods: Iterable[str]) -> tuple[str, ...]:
    """Write methods as a rule names them."""
    return tuple(one if one == SEND else f"*.{one}" for one in methods)


def _is_allowed(method: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a method of some actor may be called."""
    kinds = (kind for kind, specs in ACTOR_METHODS.items() if method in {one.name for one in specs.values()})
    readings = (SEND,) if method == SEND else tuple(f"{kind}.{method}" for kind in kinds)
    return any(matches(reading, patterns) for reading in readings)
