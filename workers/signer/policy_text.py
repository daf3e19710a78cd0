"""Changing one rule in the text of a policy and leaving the rest, comments included, as it is written.

The lines are cut at their `[[rule]]` and `[[set]]` headers.  What came out is read again and must hold the
very rules that were wanted: a text that is cut wrongly (a header inside a long string) is refused.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.amounts import fil_format
from poolsite.wire.policy import AMOUNTS, PUT, REMOVE, RuleForm, RuleSet
from workers.signer.errors import BadPolicy
from workers.signer.policy import ANY
from workers.signer.policy_parse import policy_parse, rule_read
from workers.signer.sign_request import MESSAGE

if TYPE_CHECKING:
    from poolsite.wire.policy import PolicyEdit
    from workers.signer.policy import Policy, Rule

HEADER: Final = re.compile(r"\s*\[\[\s*(rule|set)\s*\]\]\s*(#.*)?")
LISTS: Final = ("types", "keys", "methods", "to", "callers")


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines: a rule or a set with the comment above it, or what stands between them (no kind)."""

    kind: str
    lines: tuple[str, ...]


def parts_cut(text: str) -> list[Part]:
    """Cut a text; put together again, the parts are the text."""
    lines = text.splitlines(keepends=True)
    heads = [(at, found[1]) for at, line in enumerate(lines) if (found := HEADER.fullmatch(line.rstrip()))]
    parts: list[Part] = []
    done = 0
    for number, (at, kind) in enumerate(heads):
        start = at
        while start > done and lines[start - 1].lstrip().startswith("#"):
            start -= 1
        end = heads[number + 1][0] if number + 1 < len(heads) else len(lines)
        while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
            end -= 1
        parts += [Part("", tuple(lines[done:start])), Part(kind, tuple(lines[start:end]))]
        done = end
    return [part for part in [*parts, Part("", tuple(lines[done:]))] if part.lines]


def parts_join(parts: list[Part]) -> str:
    """Put parts together; each ends its line, and a blank line parts rules."""
    text = ""
    for part in parts:
        if text and not text.endswith("\n"):
            text += "\n"
        if part.kind and text and not text.endswith("\n\n"):
            text += "\n"
        text += "".join(part.lines)
    return text


def text_write(value: str) -> str:
    """Write a TOML string.  Raises BadPolicy for text that has no UTF-8 form."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadPolicy("a string contains an incomplete character") from None
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def list_write(values: tuple[str, ...]) -> str:
    """Write a list of texts, on several lines where it is long."""
    items = [text_write(value) for value in values]
    line = f"[{', '.join(items)}]"
    return line if len(line) < 90 else "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def fields_of(form: RuleForm) -> dict[str, Any]:
    """Return what a rule's table holds: the fields that are filled in."""
    table: dict[str, Any] = {"name": form.name}
    for name in LISTS:
        values = getattr(form, name)
        if values and values != (ANY,) and not (name == "types" and values == (MESSAGE,)):
            table[name] = list(values)
    for name in (*AMOUNTS, "hours"):
        if getattr(form, name).strip():
            table[name] = getattr(form, name).strip()
    return table


def rule_write(form: RuleForm) -> tuple[str, ...]:
    """Write a rule's lines."""
    lines = ["[[rule]]\n"]
    for name, value in fields_of(form).items():
        text = list_write(tuple(value)) if isinstance(value, list) else text_write(value)
        lines += [f"{line}\n" for line in f"{name} = {text}".splitlines()]
    return tuple(lines)


def set_write(name: str, rules: tuple[str, ...]) -> tuple[str, ...]:
    """Write a set's lines."""
    text = f"[[set]]\nname = {text_write(name)}\nrules = {list_write(rules)}\n"
    return tuple(text.splitlines(keepends=True))


def rule_form(rule: Rule, sets: Mapping[str, tuple[str, ...]]) -> RuleForm:
    """Show a rule as a form does."""
    values: dict[str, Any] = {}
    for item in fields(rule):
        value = getattr(rule, item.name)
        if item.name in AMOUNTS:
            values[item.name] = "" if value is None else fil_format(value)
        elif item.name in LISTS:
            values[item.name] = () if value == (ANY,) else value
    hours = "" if rule.hours is None else "-".join(one.isoformat("auto")[:8] for one in rule.hours)
    hours = hours.replace(":00-", "-").removesuffix(":00") if hours.count(":") == 4 else hours
    names = tuple(name for name, rules in sets.items() if rule.name in rules)
    return RuleForm(name=rule.name, hours=hours, sets=names, **values)


def sets_shown(policy: Policy) -> tuple[RuleSet, ...]:
    """Show the sets."""
    return tuple(RuleSet(name=name, rules=rules) for name, rules in policy.sets.items())


def edit_apply(text: str, edit: PolicyEdit) -> str:
    """Carry out an edit on a text.  Raises BadPolicy, also for a text that a form cannot change."""
    if edit.op not in (PUT, REMOVE):
        policy_parse(edit.text)
        return edit.text
    policy = policy_parse(text)
    names = [rule.name for rule in policy.rules]
    if edit.name and edit.name not in names:
        raise BadPolicy(f"rule '{edit.name}' no longer exists")
    parts = parts_cut(text)
    at = [number for number, part in enumerate(parts) if part.kind == "rule"]
    if len(at) != len(names):
        raise BadPolicy("this policy cannot be edited with the form: edit its text")
    if edit.op == REMOVE:
        del parts[at[names.index(edit.name)]]
        rules = tuple(rule for rule in policy.rules if rule.name != edit.name)
        sets = {name: tuple(rule for rule in held if rule != edit.name) for name, held in policy.sets.items()}
    else:
        assert edit.rule is not None
        parts, rules = rule_put(parts, policy, edit.rule, was=edit.name, place=edit.place)
        sets = sets_put(policy.sets, edit.rule, was=edit.name)
    sets = {name: held for name, held in sets.items() if held}
    if sets != policy.sets:
        other_parts = [part for part in parts if part.kind != "set"]
        parts = [*other_parts, *(Part("set", set_write(name, held)) for name, held in sets.items())]
    changed = parts_join(parts)
    made = policy_parse(changed)
    if made.rules != rules or made.sets != sets:
        raise BadPolicy("this policy cannot be edited with the form: edit its text")
    return changed


def rule_put(
    parts: list[Part], policy: Policy, form: RuleForm, *, was: str, place: int | None
) -> tuple[list[Part], tuple[Rule, ...]]:
    """Write a rule in the place of `was`, or a new one, there or where `place` says.  Raises BadPolicy."""
    rule = rule_read(fields_of(form))
    others = [one.name for one in policy.rules if one.name != was]
    if rule.name in others:
        raise BadPolicy(f"rule '{rule.name}' already exists")
    part = Part("rule", rule_write(form))
    rules, parts = list(policy.rules), list(parts)
    at = [number for number, one in enumerate(parts) if one.kind == "rule"]
    index = [one.name for one in rules].index(was) if was else len(rules)
    if was:
        part = replace(part, lines=(*comment_above(parts[at[index]]), *part.lines))
        del parts[at[index]], rules[index]
        at = [number for number, one in enumerate(parts) if one.kind == "rule"]
    target = index if place is None else max(min(place - 1, len(rules)), 0)
    spot = at[target] if target < len(at) else (at[-1] + 1 if at else len(parts))
    parts.insert(spot, part)
    rules.insert(target, rule)
    return parts, tuple(rules)


def comment_above(part: Part) -> tuple[str, ...]:
    """Return the lines of a part that stand above its header."""
    return tuple(itertools.takewhile(lambda line: not HEADER.fullmatch(line.rstrip()), part.lines))


def sets_put(sets: Mapping[str, tuple[str, ...]], form: RuleForm, *, was: str) -> dict[str, tuple[str, ...]]:
    """Return the sets with a rule in those that its form names, and in no others."""
    found: dict[str, tuple[str, ...]] = {}
    for name, held in sets.items():
        renamed = tuple(form.name if rule == was and was else rule for rule in held)
        if name in form.sets:
            found[name] = renamed if form.name in renamed else (*renamed, form.name)
        else:
            found[name] = tuple(rule for rule in renamed if rule != form.name)
    for name in form.sets:
        found.setdefault(name, (form.name,))
    return found
