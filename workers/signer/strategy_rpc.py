"""The strategies over the wallet JSON-RPC, with the names of venus-wallet before 1.9.

Source: filecoin-project/venus-wallet v1.8.0 storage/strategy/strategy.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from poolsite.wire.jsonrpc.parameters import NUMBER, TEXT, RpcMethod, list_of
from workers.signer.policy import MISFITS
from workers.signer.strategy import Strategy
from workers.signer.strategy_rules import GROUP, MISSING, NOT_PASSED, Group, KeyBind, mask_of, types_of

if TYPE_CHECKING:
    from poolsite.wire.jsonrpc.messages import Json
    from workers.signer.callers import Caller
    from workers.signer.errors import Denied

CODES: Final = list_of(NUMBER)
NAMES: Final = list_of(TEXT)


def bind_json(bind: KeyBind) -> Json:
    """Return a key bind as JSON."""
    return {
        "BindID": bind.number,
        "Name": bind.name,
        "Address": bind.address,
        "MetaTypes": mask_of(bind.types),
        "Methods": list(bind.methods),
    }


def group_json(group: Group, token: str = "") -> Json:
    """Return a group, or what a token is for, as JSON."""
    binds = [bind_json(bind) for bind in group.binds]
    fields = {"GroupID": group.number, "Name": group.name, "KeyBinds": binds}
    return {"Token": token, **fields} if token else fields


def types_json(number: int, name: str, codes: list[int]) -> Json:
    """Return a template of types as JSON."""
    return {"MTTId": number, "Name": name, "MetaTypes": mask_of(types_of(codes))}


def methods_json(number: int, name: str, methods: list[str]) -> Json:
    """Return a template of methods as JSON."""
    return {"MTId": number, "Name": name, "Methods": methods}


def part(rows: Sequence[Any], start: int, end: int) -> Sequence[Any]:
    """Return rows from `start` to before `end`."""
    return rows[max(start, 0) : max(end, 0)]


def bind_from_template(book: Strategy, name: str, address: str, types: str, methods: str) -> None:
    """Make a key bind of two templates.  Raises SignerError."""
    book.bind_add(name, address, book.template("types", types)[1], book.template("methods", methods)[1])


def binds_remove(book: Strategy, address: str) -> int:
    """Remove every key bind of an address; returns how many."""
    binds = book.binds_of(address)
    for bind in binds:
        book.bind_remove(bind.name)
    return len(binds)


def on_book(work: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler that passes the strategies of the caller's signer."""

    def handler(caller: Caller, *arguments: Any) -> Any:
        return work(Strategy(caller.signer.folder), *arguments)

    return handler


def method(work: Callable[..., Any], *params: Any, void: bool = False) -> RpcMethod:
    """Return a row; strategies are the admin's."""
    return RpcMethod("admin", on_book(work), params, void=void)


def templates(book: Strategy, kind: str, start: int, end: int) -> list[Json]:
    """List templates of a kind."""
    write = types_json if kind == "types" else methods_json
    rows = [write(number, name, held) for number, (name, held) in enumerate(book.book()[kind].items(), 1)]
    return list(part(rows, start, end))


STRATEGY_METHODS: Final[dict[str, RpcMethod]] = {
    "NewMsgTypeTemplate": method(
        lambda book, name, codes: book.template_add("types", name, codes), TEXT, CODES, void=True
    ),
    "NewMethodTemplate": method(
        lambda book, name, names: book.template_add("methods", name, names), TEXT, NAMES, void=True
    ),
    "NewKeyBindCustom": method(Strategy.bind_add, TEXT, TEXT, CODES, NAMES, void=True),
    "NewKeyBindFromTemplate": method(bind_from_template, TEXT, TEXT, TEXT, TEXT, void=True),
    "NewGroup": method(Strategy.group_add, TEXT, NAMES, void=True),
    "NewStToken": method(Strategy.token_add, TEXT),
    "GetMsgTypeTemplate": method(
        lambda book, name: types_json(*_named(name, book.template("types", name))), TEXT
    ),
    "GetMethodTemplateByName": method(
        lambda book, name: methods_json(*_named(name, book.template("methods", name))), TEXT
    ),
    "GetKeyBindByName": method(lambda book, name: bind_json(book.bind(name)), TEXT),
    "GetKeyBinds": method(lambda book, address: [bind_json(one) for one in book.binds_of(address)], TEXT),
    "GetGroupByName": method(lambda book, name: group_json(book.group(name)), TEXT),
    "GetWalletTokensByGroup": method(Strategy.tokens_of, TEXT),
    "GetWalletTokenInfo": method(lambda book, token: group_json(book.token_group(token), token), TEXT),
    "ListGroups": method(
        lambda book, start, end: [group_json(one) for one in part(book.groups(), start, end)], NUMBER, NUMBER
    ),
    "ListKeyBinds": method(
        lambda book, start, end: [bind_json(one) for one in part(book.binds(), start, end)], NUMBER, NUMBER
    ),
    "ListMethodTemplates": method(
        lambda book, start, end: templates(book, "methods", start, end), NUMBER, NUMBER
    ),
    "ListMsgTypeTemplates": method(
        lambda book, start, end: templates(book, "types", start, end), NUMBER, NUMBER
    ),
    "AddMsgTypeIntoKeyBind": method(
        lambda book, name, codes: bind_json(book.types_change(name, codes, is_added=True)), TEXT, CODES
    ),
    "AddMethodIntoKeyBind": method(
        lambda book, name, names: bind_json(book.methods_change(name, names, is_added=True)), TEXT, NAMES
    ),
    "RemoveMsgTypeFromKeyBind": method(
        lambda book, name, codes: bind_json(book.types_change(name, codes, is_added=False)), TEXT, CODES
    ),
    "RemoveMethodFromKeyBind": method(
        lambda book, name, names: bind_json(book.methods_change(name, names, is_added=False)), TEXT, NAMES
    ),
    "RemoveMsgTypeTemplate": method(lambda book, name: book.template_remove("types", name), TEXT, void=True),
    "RemoveMethodTemplate": method(lambda book, name: book.template_remove("methods", name), TEXT, void=True),
    "RemoveKeyBind": method(Strategy.bind_remove, TEXT, void=True),
    "RemoveKeyBindByAddress": method(binds_remove, TEXT),
    "RemoveGroup": method(Strategy.group_remove, TEXT, void=True),
    "RemoveStToken": method(Strategy.token_remove, TEXT, void=True),
}


def _named(name: str, found: tuple[int, list[Any]]) -> tuple[int, str, list[Any]]:
    return found[0], name, found[1]


def strategy_refusal(caller: Caller, address: str, meta_type: str, denied: Denied) -> str:
    """Word the policy's refusal as venus-wallet did for a caller with a strategy token; empty for others."""
    if caller.addresses is None or not caller.rule_set.startswith(GROUP):
        return ""
    if address not in caller.addresses:
        return MISSING
    if not denied.misfit:
        return ""
    if MISFITS.index(denied.misfit) < MISFITS.index("method"):
        return f"{NOT_PASSED}: msgType {meta_type}"
    return f"{NOT_PASSED}: method {denied.reading.rpartition('.')[2]}"
