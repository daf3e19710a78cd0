"""A policy file, read: its rules and sets, and each field of a rule."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Sequence
from datetime import time
from typing import Any, Final

from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.filecoin.amounts import BadAmount, fil_parse
from poolsite.wire.policy import AMOUNTS
from workers.signer.errors import BadPolicy
from workers.signer.policy import ANY, Policy, Rule
from workers.signer.sign_request import TYPES

VERSION: Final = 1


def policy_parse(text: str) -> Policy:
    """Read a policy file.  Raises BadPolicy naming rule and field."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPolicy(f"the policy is not TOML: {error}") from None
    unknown = value.keys() - {"version", "rule", "set"}
    if unknown or value.get("version") != VERSION:
        text = f"the policy must contain version = {VERSION}, [[rule]] and [[set]] tables, and nothing else"
        raise BadPolicy(text)
    tables = value.get("rule", [])
    if not isinstance(tables, list):
        raise BadPolicy("rules are written as [[rule]]")
    rules = tuple(rule_read(table) for table in tables)
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise BadPolicy("two rules have the same name")
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return Policy(digest, rules, sets_read(value.get("set", []), known=names))


def sets_read(tables: Any, *, known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read the sets.  Raises BadPolicy."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadPolicy("sets are written as [[set]]")
    found: dict[str, tuple[str, ...]] = {}
    for table in tables:
        name = table.get("name")
        if table.keys() != {"name", "rules"} or not isinstance(name, str) or not name or name in found:
            raise BadPolicy("every set needs a unique name and a list of rules, and nothing else")
        try:
            found[name] = texts_read(table["rules"])
        except ValueError as error:
            raise BadPolicy(f"set '{name}': rules: {error}") from None
        missing = [rule for rule in found[name] if rule not in known]
        if missing:
            raise BadPolicy(f"set '{name}': unknown rule {missing[0]!r}")
    return found


def rule_read(table: Any) -> Rule:
    """Read one rule.  Raises BadPolicy."""
    if not isinstance(table, dict) or not isinstance(table.get("name"), str) or not table["name"]:
        raise BadPolicy("every rule needs a name")
    fields: dict[str, Any] = {"name": table["name"]}
    for key, value in table.items():
        if key == "name":
            continue
        reader = READERS.get(key)
        if reader is None:
            raise BadPolicy(f"rule '{table['name']}': unknown field {key!r}")
        try:
            fields[key] = reader(value)
        except ValueError as error:
            raise BadPolicy(f"rule '{table['name']}': {key}: {error}") from None
    return Rule(**fields)


def texts_read(value: Any) -> tuple[str, ...]:
    """Read a list of texts."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise ValueError("must be a list of strings")
    return tuple(value)


def types_read(value: Any) -> tuple[str, ...]:
    """Read a list of types."""
    types = texts_read(value)
    unknown = [name for name in types if name not in TYPES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(TYPES)}")
    return types


def addresses_read(value: Any) -> tuple[str, ...]:
    """Read a list of addresses, or `*`."""
    try:
        return tuple(ANY if item == ANY else str(address_parse(item)) for item in texts_read(value))
    except BadAddress as error:
        raise ValueError(str(error)) from None


def amount_read(value: Any) -> int:
    """Read an amount like `1.5 FIL`."""
    if not isinstance(value, str):
        raise ValueError('write amounts as strings such as "1.5 FIL"')
    try:
        return fil_parse(value)
    except BadAmount as error:
        raise ValueError(str(error)) from None


def hours_read(value: Any) -> tuple[time, time]:
    """Read a span like `08:00-18:30`."""
    start, _, end = str(value).partition("-")
    span = time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    if any(one.tzinfo is not None for one in span):
        raise ValueError("hours are in UTC and must not have a time zone")
    return span


READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "types": types_read,
    "keys": addresses_read,
    "methods": texts_read,
    "to": addresses_read,
    "callers": texts_read,
    **dict.fromkeys(AMOUNTS, amount_read),
    "hours": hours_read,
}
