"""Settings by level, merged: a later level wins, and each value knows where it comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from poolsite.wire.host_settings import CONSOLE_LEVELS, LEVELS, SETTING_MAX
from poolsite.wire.hosts import SLOTS_MAX
from poolsite.wire.pipeline import WORKER_STAGES
from poolsite.wire.sealing_rules import (
    DEFAULTS,
    PLAN,
    RULES,
    SEALING,
    THREADS,
    SealingRules,
    rule_key,
    rule_read,
    rules_of,
    thread_key,
)

SLOTS: Final = "slots."

Value = int | str
"""Of a rule of sealing, its words."""
Merged = dict[str, tuple[Value, str]]
"""Settings with the level that each comes from."""
Levels = dict[str, "Mapping[str, Value]"]
"""Settings by key, of each level."""


def merge(levels: Mapping[str, Mapping[str, Value]]) -> Merged:
    """Return the settings with the level that each comes from."""
    merged: Merged = {}
    for level in LEVELS:
        merged |= {key: (value, level) for key, value in levels.get(level, {}).items()}
    return merged


def numbers_of(merged: Merged) -> dict[str, int]:
    """Return the settings that are numbers."""
    return {key: value for key, (value, _) in merged.items() if isinstance(value, int)}


def threads_of(merged: Collection[str]) -> list[int]:
    """Return the numbers of a host's sealing threads."""
    found = (rule_key(key) for key in merged if key.startswith(THREADS))
    return sorted(number for number, name in filter(None, found) if name == PLAN)


def rules_merged(merged: Merged, number: int) -> SealingRules:
    """Return the rules of a thread, or with 0 of the host.  Raises ValueError where nothing may begin."""
    names = {name: (thread_key(number, name), SEALING + name) for name in RULES}
    found = {name: key for name, keys in names.items() for key in reversed(keys) if key in merged}
    try:
        return rules_of({name: str(merged[key][0]) for name, key in found.items()})
    except ValueError as error:
        whose = f"sealing thread {number}" if number else "the host"
        raise ValueError(f"{whose} {error}") from None


def plans_of(merged: Merged) -> list[str]:
    """Return the plans of a host's sealing threads."""
    return [str(merged[thread_key(number, PLAN)][0]) for number in threads_of(merged)]


def slots_of_plans(merged: Merged, *, own: Merged) -> Merged:
    """Return settings in which the slots that plans of the file gave follow those that threads have now."""
    before, after = plans_of(own), plans_of(merged)
    moved = dict(merged)
    for stage, spec in WORKER_STAGES.items():
        value, level = merged.get(SLOTS + stage, (0, ""))
        more = sum(plan in spec.plans for plan in after) - sum(plan in spec.plans for plan in before)
        if level == "file" and more and isinstance(value, int):
            moved[SLOTS + stage] = max(value + more, 0), level
    return moved


def console_levels(configured: dict[str, str], *, known: Merged) -> Levels:
    """Read what the console has set, as {"host.slots.PC1": "2"}; what this host has not is left out."""
    levels: dict[str, dict[str, Value]] = {}
    threads = threads_of(known)
    for name, text in configured.items():
        level, _, key = name.partition(".")
        value = _value_read(key, text)
        rule = rule_key(key)
        is_known = key in known or (rule is not None and (rule[0] in threads or not rule[0]))
        if level in CONSOLE_LEVELS and is_known and value is not None:
            levels.setdefault(level, {})[key] = value
    return {**levels}


def _value_read(key: str, text: str) -> Value | None:
    """Return a setting's value; None if it is none."""
    if (rule := rule_key(key)) is not None:
        try:
            return rule_read(rule[1], text)
        except ValueError:
            return None
    most = SLOTS_MAX if key.startswith(SLOTS) else SETTING_MAX
    return min(int(text), most) if text.isascii() and text.isdigit() else None


def rules_default() -> dict[str, Value]:
    """Return the rules of a sealing host that was told nothing, as settings."""
    return {SEALING + name: value for name, value in DEFAULTS.items()}


def slots_named(slots: dict[str, int]) -> dict[str, int]:
    """Return slots by stage as settings."""
    return {SLOTS + stage: count for stage, count in slots.items()}


def slots_default() -> dict[str, int]:
    """Return the slots of a sealing host that was told nothing, as settings."""
    return slots_named({stage: spec.slots for stage, spec in WORKER_STAGES.items()})
