"""The strategies on the command line, with the verbs of venus-wallet before 1.9: `strategy newGroup g a b`.

Source: filecoin-project/venus-wallet v1.8.0 cli/cli_strategy.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from workers.signer.errors import SignerError
from workers.signer.strategy import Strategy
from workers.signer.strategy_rpc import bind_from_template, binds_remove, part
from workers.signer.strategy_rules import CODE_NAMES, CODES, METHOD_NAMES, Group, KeyBind

DONE: Final = "success"
ALL: Final = 2**31


def strategy_options(parser: ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("verb", help="as in venus-wallet before 1.9: types, newKeyBindCustom, …")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--from", dest="start", type=int, default=0)
    parser.add_argument("--to", dest="end", type=int, default=ALL)


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: what it does with its words, and how many it needs."""

    work: Callable[..., str]
    words: str
    """Names of its words; the last may be repeated where it ends with `…`."""

    def fits(self, count: int) -> bool:
        """Return whether this many words are right."""
        wanted = len(self.words.split())
        return count >= wanted if self.words.endswith("…") else count == wanted


def codes_read(words: Iterable[str]) -> list[int]:
    """Read codes, apart or joined by commas.  Raises SignerError."""
    parts = [one for word in words for one in word.split(",") if one]
    if not all(one.isdecimal() and len(one) < 4 for one in parts):
        raise SignerError("code over flow")
    return [int(one) for one in parts]


def names_read(words: Iterable[str]) -> list[str]:
    """Read names, apart or joined by commas."""
    return [one for word in words for one in word.split(",") if one]


def codes_text(types: Iterable[str]) -> str:
    """Write types as codes."""
    return ",".join(str(CODES.index(kind)) for kind in types)


def bind_text(bind: KeyBind) -> str:
    """Write a key bind."""
    lines = (f"address\t: {bind.address}", f"types\t: {codes_text(bind.types)}")
    return "\n".join((*lines, f"methods\t: {','.join(bind.methods)}"))


def binds_text(binds: Iterable[KeyBind]) -> str:
    """Write several."""
    return "\n\n".join(f"name\t: {bind.name}\n{bind_text(bind)}" for bind in binds)


def group_text(group: Group) -> str:
    """Write a group."""
    return f"group\t: {group.name}\n\n{binds_text(group.binds)}"


def template_text(book: Strategy, kind: str, name: str) -> str:
    """Write a template."""
    held = book.template(kind, name)[1]
    return ",".join(map(str, held))


def templates_text(book: Strategy, kind: str, start: int, end: int) -> str:
    """Write the templates of a kind."""
    rows = [f"{name}\t: {','.join(map(str, held))}" for name, held in book.book()[kind].items()]
    return "\n".join(part(rows, start, end))


def done(work: Callable[..., Any]) -> Callable[..., str]:
    """Return a command that prints venus-wallet's word for success."""

    def command(*words: Any) -> str:
        work(*words)
        return DONE

    return command


def shown(work: Callable[..., KeyBind]) -> Callable[..., str]:
    """Show the key bind that it made."""
    return lambda *words: bind_text(work(*words))


VERBS: Final[dict[str, Verb]] = {
    "types": Verb(lambda _b: "\n".join(f"{code}\t{name}" for code, name in enumerate(CODE_NAMES)), ""),
    "methods": Verb(lambda _b: "\n".join(METHOD_NAMES), ""),
    "msgTypeTemplate": Verb(lambda b, name: template_text(b, "types", name), "name"),
    "methodTemplateByName": Verb(lambda b, name: template_text(b, "methods", name), "name"),
    "keyBind": Verb(lambda b, name: bind_text(b.bind(name)), "name"),
    "keyBinds": Verb(lambda b, address: binds_text(b.binds_of(address)), "address"),
    "group": Verb(lambda b, name: group_text(b.group(name)), "name"),
    "groupTokens": Verb(lambda b, name: "\n".join(b.tokens_of(name)), "group"),
    "stTokenInfo": Verb(lambda b, token: group_text(b.token_group(token)), "token"),
    "newMsgTypeTemplate": Verb(
        done(lambda b, name, *codes: b.template_add("types", name, codes_read(codes))), "name code…"
    ),
    "newMethodTemplate": Verb(
        done(lambda b, name, *names: b.template_add("methods", name, names_read(names))), "name method…"
    ),
    "newKeyBindCustom": Verb(
        done(
            lambda b, name, key, codes, names: b.bind_add(name, key, codes_read([codes]), names_read([names]))
        ),
        "name address codes methods",
    ),
    "newKeyBindFromTemplate": Verb(done(bind_from_template), "name address msgTypeTemplate methodTemplate"),
    "newGroup": Verb(done(lambda b, name, *binds: b.group_add(name, names_read(binds))), "name keybind…"),
    "newStToken": Verb(lambda b, group: b.token_add(group), "group"),
    "removeMsgTypeTemplate": Verb(done(lambda b, name: b.template_remove("types", name)), "name"),
    "removeMethodTemplate": Verb(done(lambda b, name: b.template_remove("methods", name)), "name"),
    "removeKeyBind": Verb(done(Strategy.bind_remove), "name"),
    "removeKeyBindByAddress": Verb(
        lambda b, key: f"{binds_remove(b, key)} rows of data were deleted", "address"
    ),
    "removeGroup": Verb(done(Strategy.group_remove), "name"),
    "removeStToken": Verb(done(Strategy.token_remove), "token"),
    "addMsgTypeIntoKeyBind": Verb(
        shown(lambda b, name, *codes: b.types_change(name, codes_read(codes), is_added=True)), "name code…"
    ),
    "removeMsgTypeFromKeyBind": Verb(
        shown(lambda b, name, *codes: b.types_change(name, codes_read(codes), is_added=False)), "name code…"
    ),
    "addMethodIntoKeyBind": Verb(
        shown(lambda b, name, *names: b.methods_change(name, names_read(names), is_added=True)),
        "name method…",
    ),
    "removeMethodFromKeyBind": Verb(
        shown(lambda b, name, *names: b.methods_change(name, names_read(names), is_added=False)),
        "name method…",
    ),
}
LISTS: Final[dict[str, Callable[[Strategy, int, int], str]]] = {
    "listGroup": lambda b, start, end: "\n\n".join(map(group_text, part(b.groups(), start, end))),
    "listKeyBinds": lambda b, start, end: binds_text(part(b.binds(), start, end)),
    "listMethodTemplates": lambda b, start, end: templates_text(b, "methods", start, end),
    "listMsgTypeTemplates": lambda b, start, end: templates_text(b, "types", start, end),
}
"""Verbs that give a part of a list."""


def strategy(book: Strategy, verb: str, words: list[str], *, start: int = 0, end: int = ALL) -> str:
    """Carry out one verb.  Raises SignerError with the words that it needs."""
    if verb in LISTS and not words:
        return LISTS[verb](book, start, end)
    row = VERBS.get(verb)
    if row is None:
        raise SignerError(f"unknown command '{verb}': use one of {', '.join([*VERBS, *LISTS])}")
    if not row.fits(len(words)):
        raise SignerError(f"{verb} needs: {row.words or 'nothing'}")
    return row.work(book, *words)
