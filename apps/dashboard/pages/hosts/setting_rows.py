"""The settings that a host obeys, in words, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from string import ascii_letters
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.dashboard.labels import STAGES
from apps.sectors.selectors.hosts import host_report
from apps.sectors.services.hosts.settings import SETTABLE, worker_settings_resolve
from poolsite.wire.host_settings import CONSOLE_LEVELS, LEVELS
from poolsite.wire.sealing_rule_values import ALL
from poolsite.wire.sealing_rules import LOCATION, PLAN, RULES, SEALING, THREADS, rule_key, thread_key

if TYPE_CHECKING:
    from apps.sectors.models import HostReport, Worker

ORIGINS: Final = {
    "default": _("default"),
    "proposed": _("proposed for this machine"),
    "pool": _("pool"),
    "tenant": _("tenant"),
    "group": _("group"),
    "file": _("{file} on the host"),
    "command line": _("command line"),
    "host": _("set here"),
    "file of thread": _("[[sealing_thread]] in {file} on the host"),
    "thread": _("set here for the thread"),
}
RULE_LABELS: Final = {
    "allowed_miners": _("Miners for new sectors"),
    "allowed_sizes": _("Sizes of new sectors"),
    "enable_deals": _("Accept client data"),
    "disable_cc": _("Reject sectors without client data"),
    "max_deals": _("Max pieces of client data per sector"),
    "min_deal_space": _("Min client data per sector"),
    "max_retries": _("Retries of a failed stage"),
    "recover_interval": _("Pause before retrying a failed stage"),
    "seal_interval": _("Pause before the next sector"),
    "verify_after_pc2": _("Verify after PC2"),
    PLAN: _("plan"),
    LOCATION: _("folder"),
}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as the host obeys it."""

    key: str
    label: str
    value: str
    origin: str
    pending: str
    """What it was told and does not obey yet; empty: it does."""
    wanted: tuple[str, str]
    """Level and value that the console set; empty: none."""


def setting_rows(worker: Worker, report: HostReport | None) -> tuple[SettingRow, ...]:
    """Return the settings that a host obeys, with what it was told and does not obey yet."""
    reported = {} if report is None else {setting["key"]: setting for setting in report.settings}
    has_rules = any(key.startswith(SEALING) for key in reported)
    wanted: dict[str, tuple[str, str]] = {}
    named = [(*name.partition("."), value) for name, value in worker_settings_resolve(worker).items()]
    for level, _dot, key, value in sorted(named, key=lambda one: LEVELS.index(one[0])):
        wanted[key] = (level, value)
    rows = []
    for key, setting in reported.items():
        level, value = wanted.get(key, ("", ""))
        is_overruled = not level or LEVELS.index(level) < LEVELS.index(setting["origin"])
        is_stale = setting["origin"] in CONSOLE_LEVELS and not level
        pending = (
            ""
            if is_overruled or value == setting["value"]
            else gettext("{value} with its next heartbeat").format(value=value)
        )
        rows.append(
            SettingRow(
                key,
                setting_label(key),
                setting_value(key, setting["value"]),
                origin_text(setting),
                gettext("removed with its next heartbeat") if is_stale else pending,
                (level, value),
            )
        )
    for key, pair in wanted.items():
        if has_rules and key not in reported and rule_key(key) is not None:
            pending = gettext("{value} with its next heartbeat").format(value=setting_value(key, pair[1]))
            label, nothing = setting_label(key), formatting.NOTHING
            rows.append(SettingRow(key, label, nothing, nothing, pending, pair))
    return tuple(rows)


def origin_text(setting: dict[str, str]) -> str:
    """Return where a setting that a host has told comes from; an older host tells no name of its file."""
    name = PurePath(setting.get("file", "")).name or gettext("file")
    return str(ORIGINS.get(setting["origin"], setting["origin"])).format(file=name)


def setting_label(key: str) -> str:
    """Return a setting in words."""
    if key.startswith("slots."):
        stage = key.removeprefix("slots.")
        return gettext("{stages} slots").format(stages=STAGES.get(stage, stage))
    if key.startswith((SEALING, THREADS)):
        rest = key.partition(".")[2]
        number, _dot, name = rest.rpartition(".")
        rule = str(RULE_LABELS.get(name, name))
        thread = gettext("Thread {number}: {rule}").format(
            number=number, rule=f"{rule[:1].lower()}{rule[1:]}"
        )
        return thread if number else rule
    return {
        "sectors_max": gettext("Max sectors at a time"),
        "sector_room_bytes": gettext("Disk space per new sector"),
    }.get(key, key)


def setting_value(key: str, value: str) -> str:
    """Return a setting's value in words."""
    if key == "sector_room_bytes":
        return " ".join(formatting.size(int(value)))
    if key.startswith((SEALING, THREADS)):
        texts = {"true": gettext("yes"), "false": gettext("no"), ALL: gettext("all")}
        return str(texts.get(value) or spaced(value))
    return gettext("as many as the disk has room for") if (key, value) == ("sectors_max", "0") else value


def spaced(value: str) -> str:
    """Return a number and its unit, which settings write without a space, as pages write them."""
    number = value.rstrip(ascii_letters)
    return f"{number} {value[len(number) :]}" if number.isdigit() and number != value else value


def known_keys(worker: Worker) -> Iterable[str]:
    """Return the settings that can be set of a host: those that it has, and each thread's."""
    report = host_report(worker)
    reported = {} if report is None else {one["key"]: None for one in report.settings}
    has_rules = any(key.startswith(SEALING) for key in reported)
    yield from (key for key in SETTABLE if key in reported or (has_rules and key.startswith(SEALING)))
    threads = [rule_key(key) for key in reported if key.startswith(THREADS) and key.endswith(f".{PLAN}")]
    for number, _plan in filter(None, threads):
        yield from (thread_key(number, name) for name in (PLAN, *RULES))
