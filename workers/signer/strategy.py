"""The strategies of venus-wallet before 1.9, kept as our rules and sets.

Templates, key binds, groups and tokens.  A key bind is a rule `keybind NAME` of the policy, for callers with
a strategy token only; a group is the set `group NAME` of such rules.  So they stand in the policy's history,
on its page and in the records like all others.  Templates and tokens have a file of their own.
Source: filecoin-project/venus-wallet v1.8.0 storage/strategy/, core/types.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.private_files import locked, private_write
from poolsite.wire.policy import PUT, REMOVE, PolicyEdit
from workers.signer.changes import policy_change
from workers.signer.errors import SignerError
from workers.signer.policy_parse import policy_parse
from workers.signer.policy_text import edit_apply, rule_form, set_write
from workers.signer.strategy_rules import (
    BIND,
    GROUP,
    MISSING,
    NO_GROUP,
    Group,
    KeyBind,
    bind_form,
    binds_in,
    form_methods_change,
    form_types_change,
    methods_checked,
    name_checked,
    set_name,
    types_of,
)

if TYPE_CHECKING:
    from poolsite.wire.policy import RuleForm
    from workers.signer.policy import Policy


class Strategy:
    """A folder's strategies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "strategy.json"

    def book(self) -> dict[str, Any]:
        """Read templates and tokens.  Raises SignerError for a damaged file."""
        empty: dict[str, Any] = {"types": {}, "methods": {}, "tokens": {}, "used": False}
        if not self.path.exists():
            return empty
        try:
            return {**empty, **json.loads(self.path.read_text())}
        except (ValueError, TypeError):
            raise SignerError(f"{self.path} is damaged") from None

    def keep(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change templates or tokens."""
        with locked(self.folder / "strategy.lock"):
            book = self.book()
            change(book)
            private_write(self.path, json.dumps(book, indent=1) + "\n")

    def policy(self) -> Policy:
        """Read the policy.  Raises BadPolicy."""
        return policy_parse((self.folder / "policy.toml").read_text())

    def template_add(self, kind: str, name: str, values: list[Any]) -> None:
        """Keep a list of codes (`types`) or methods (`methods`) under a name.  Raises SignerError."""
        name = name_checked("msgTypeTemplate" if kind == "types" else "methodTemplate", name)
        if kind == "types":
            types_of(values)
        else:
            methods_checked(values)

        def add(book: dict[str, Any]) -> None:
            if name in book[kind]:
                raise SignerError(f"template name already exists: {name}")
            book[kind][name] = list(dict.fromkeys(values))

        self.keep(add)

    def template(self, kind: str, name: str) -> tuple[int, list[Any]]:
        """Find a template and its number.  Raises SignerError."""
        held: dict[str, list[Any]] = self.book()[kind]
        if name not in held:
            raise SignerError(MISSING)
        return list(held).index(name) + 1, held[name]

    def template_remove(self, kind: str, name: str) -> None:
        """Forget a template.  Raises SignerError."""

        def remove(book: dict[str, Any]) -> None:
            if book[kind].pop(name, None) is None:
                raise SignerError(MISSING)

        self.keep(remove)

    def binds(self) -> list[KeyBind]:
        """Return all key binds."""
        return list(binds_in(self.policy()))

    def binds_of(self, address: str) -> list[KeyBind]:
        """Return those of one key; none of what is no address."""
        try:
            key = str(address_parse(address))
        except BadAddress:
            return []
        return [one for one in self.binds() if one.address == key]

    def bind(self, name: str) -> KeyBind:
        """Find one.  Raises SignerError."""
        found = next((one for one in self.binds() if one.name == name), None)
        if found is None:
            raise SignerError(MISSING)
        return found

    def bind_add(self, name: str, address: str, codes: list[int], methods: list[str]) -> None:
        """Add what may be signed with a key.  Raises SignerError."""
        try:
            key = str(address_parse(address))
        except BadAddress as error:
            raise SignerError(str(error)) from None
        name = name_checked("keybind", name)
        bind = KeyBind(0, name, key, types_of(codes), methods_checked(methods))
        edit = PolicyEdit(op=PUT, rule=bind_form(bind))
        policy_change(self.folder, lambda text: edit_apply(text, edit), by=f"strategy: new {name}")

    def bind_change(self, name: str, change: Callable[[RuleForm], RuleForm]) -> KeyBind:
        """Change a key bind's rule; the limits that its owner put on it stay.  Raises SignerError."""
        rule = BIND + name

        def changed(text: str) -> str:
            policy = policy_parse(text)
            found = next((one for one in policy.rules if one.name == rule), None)
            if found is None:
                raise SignerError(MISSING)
            return edit_apply(text, PolicyEdit(op=PUT, name=rule, rule=change(rule_form(found, policy.sets))))

        policy_change(self.folder, changed, by=f"strategy: {name}")
        return self.bind(name)

    def types_change(self, name: str, codes: list[int], *, is_added: bool) -> KeyBind:
        """Add types to a key bind, or take them out.  Raises SignerError."""
        wanted = types_of(codes)
        return self.bind_change(name, lambda form: form_types_change(form, wanted, is_added=is_added))

    def methods_change(self, name: str, methods: list[str], *, is_added: bool) -> KeyBind:
        """Add methods to a key bind, or take them out.  Raises SignerError."""
        wanted = methods_checked(methods)
        return self.bind_change(name, lambda form: form_methods_change(form, wanted, is_added=is_added))

    def bind_remove(self, name: str) -> None:
        """Remove a key bind, out of its groups too.  Raises SignerError."""
        self.bind(name)
        edit = PolicyEdit(op=REMOVE, name=BIND + name)
        policy_change(self.folder, lambda text: edit_apply(text, edit), by=f"strategy: without {name}")

    def groups(self) -> list[Group]:
        """Return all groups."""
        policy = self.policy()
        binds = {BIND + one.name: one for one in binds_in(policy)}
        sets = [(name, rules) for name, rules in policy.sets.items() if name.startswith(GROUP)]
        return [
            Group(number, name.removeprefix(GROUP), tuple(binds[rule] for rule in rules if rule in binds))
            for number, (name, rules) in enumerate(sets, 1)
        ]

    def group(self, name: str) -> Group:
        """Find one.  Raises SignerError."""
        found = next((one for one in self.groups() if one.name == name), None)
        if found is None:
            raise SignerError(MISSING)
        return found

    def group_add(self, name: str, binds: list[str]) -> None:
        """Put key binds together.  Raises SignerError."""
        name = name_checked("group", name)
        if name == NO_GROUP:
            raise SignerError(f"group name illegal: {name}")
        names = tuple(dict.fromkeys(binds))
        if not names:
            raise SignerError("nil reference")

        def added(text: str) -> str:
            policy = policy_parse(text)
            known = {one.name for one in binds_in(policy)}
            missing = [one for one in names if one not in known]
            if missing:
                raise SignerError("keybind name not exists:" + "".join(f"{one} " for one in missing))
            if set_name(name) in policy.sets:
                raise SignerError(f"group name already exists: {name}")
            lines = set_write(set_name(name), tuple(BIND + one for one in names))
            return text.rstrip("\n") + "\n\n" + "".join(lines)

        policy_change(self.folder, added, by=f"strategy: new group {name}")

    def group_remove(self, name: str) -> None:
        """Remove a group with its tokens; its key binds stay.  Raises SignerError."""
        group = self.group(name)
        for bind in group.binds:
            rule = BIND + bind.name

            def left(text: str, rule: str = rule) -> str:
                policy = policy_parse(text)
                form = next(rule_form(one, policy.sets) for one in policy.rules if one.name == rule)
                others = tuple(one for one in form.sets if one != set_name(name))
                return edit_apply(
                    text, PolicyEdit(op=PUT, name=rule, rule=structs.replace(form, sets=others))
                )

            policy_change(self.folder, left, by=f"strategy: without group {name}")

        def forget(book: dict[str, Any]) -> None:
            book["tokens"] = {token: held for token, held in book["tokens"].items() if held != name}

        self.keep(forget)

    def token_add(self, group: str) -> str:
        """Make a token for a group.  Raises SignerError."""
        self.group(group)
        token = str(uuid.uuid4())

        def add(book: dict[str, Any]) -> None:
            book["tokens"][token] = group
            book["used"] = True

        self.keep(add)
        return token

    def tokens_of(self, group: str) -> list[str]:
        """Return the tokens of a group."""
        return [token for token, held in self.book()["tokens"].items() if held == group]

    def token_group(self, token: str) -> Group:
        """Find what a token is for.  Raises SignerError."""
        held = self.book()["tokens"].get(token)
        if held is None:
            raise SignerError(MISSING)
        return self.group(held)

    def token_remove(self, token: str) -> None:
        """Make a token worthless.  Raises SignerError."""

        def remove(book: dict[str, Any]) -> None:
            if book["tokens"].pop(token, None) is None:
                raise SignerError(MISSING)

        self.keep(remove)

    def group_of(self, token: str) -> str:
        """Name the group that a caller's token limits it to; empty if nothing limits it.

        Where no strategy token was ever made, what clients append is cut off, as venus-wallet does since
        1.9.  Once there was one, a token that is unknown, removed or left away is limited to a group that
        there is not: whoever has `jwt___token` has the first half, too.
        """
        book = self.book()
        if not book["used"] and not book["tokens"]:
            return ""
        group: str = book["tokens"].get(token, NO_GROUP)
        return group

    def addresses_of(self, group: str) -> frozenset[str]:
        """Return the keys of a group; none of one that there is not."""
        found = next((one for one in self.groups() if one.name == group), None)
        return frozenset(bind.address for bind in found.binds) if found is not None else frozenset()
