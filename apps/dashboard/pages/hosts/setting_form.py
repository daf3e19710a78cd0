"""The form of settings that hosts obey: a typed field for each, by group, with where its value comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.local_time import minute_text
from apps.core.units import value_with_unit
from apps.dashboard.forms import PageForm
from apps.dashboard.number_fields import OptionalSize
from apps.dashboard.pages.hosts.setting_rows import setting_label
from apps.dashboard.refusals import refusal_text
from apps.dashboard.text_fields import Text
from apps.sectors.errors.hosts import BadSettings
from apps.sectors.services.hosts.settings import SETTABLE, SLOTS, Values, values_read
from apps.users.rules.principals import Principal
from apps.users.selectors.audit_search import AuditFilter, audit_page
from poolsite.wire.sealing_rule_values import PLANS
from poolsite.wire.sealing_rules import PLAN, rule_key

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.users.models import AuditEntry

ROOM: Final = "sector_room_bytes"
SIZES: Final = OptionalSize()
"""Reads and writes what REST takes as a number of bytes."""
FLAG: Final = (("true", _("yes")), ("false", _("no")))
LINES_READ: Final = 200
"""Lines of the audit log in which it is looked up who set something."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a setting is typed."""

    help: StrOrPromise = ""
    """Text below the field; of a rule it is its refusal, too."""
    unit: StrOrPromise = ""
    options: tuple[tuple[str, StrOrPromise], ...] = ()
    is_whole: bool = False


COUNT: Final = Kind(is_whole=True)
MOST: Final = Kind(_("0: as many as the disk has room for"), _("sectors"), is_whole=True)
KINDS: Final = {
    "sectors_max": MOST,
    ROOM: Kind(_("enter a size of at most 1 PiB, such as 500 GiB")),
    "allowed_miners": Kind(_("enter miners, such as f01000 f01001, or all")),
    "allowed_sizes": Kind(_("enter sizes of sectors, such as 32GiB 64GiB, or all")),
    "enable_deals": Kind(options=FLAG),
    "disable_cc": Kind(options=FLAG),
    "max_deals": Kind(_("enter a whole number from 1, or all"), _("pieces")),
    "min_deal_space": Kind(_("enter a size of at most 64 GiB, such as 16 GiB")),
    "max_retries": Kind(_("enter a whole number from 0 to 1000"), is_whole=True),
    "recover_interval": Kind(_("enter a duration of at most 7 days, such as 30s or 5min")),
    "seal_interval": Kind(_("enter a duration, such as 30s or 5min")),
    "verify_after_pc2": Kind(options=FLAG),
    PLAN: Kind(options=tuple((plan, _(plan)) for plan in PLANS)),
}
"""Kinds of all settings but slots, by name."""
PACES: Final = ("max_retries", "recover_interval", "seal_interval", "verify_after_pc2")
"""Rules for sectors in progress; the others choose new ones."""


def kind_of(key: str) -> Kind:
    """Return how a setting is typed."""
    rule = rule_key(key)
    return KINDS.get(rule[1] if rule else key, COUNT)


def group_of(key: str) -> str:
    """Return the title under which a setting stands."""
    if key.startswith(SLOTS):
        return gettext("Slots per stage")
    rule = rule_key(key)
    if rule is None:
        return gettext("Sectors and disk space")
    if rule[0]:
        return gettext("Thread {number}").format(number=rule[0])
    return gettext("Retries and pauses") if rule[1] in PACES else gettext("New sectors")


class SettingField(Text):
    """A setting; empty is None: the level above says it."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.show_hidden_initial = True

    def clean(self, value: Any) -> int | str | None:
        """Read it as REST does.  Raises ValidationError."""
        text, kind = super().clean(value), kind_of(self.key)
        try:
            read = SIZES.clean(text) if self.key == ROOM else text
            return values_read({self.key: read}, is_shared=False)[self.key]
        except BadSettings as refusal:
            wrong = kind.help or _("choose one of the options")
            raise ValidationError(refusal_text(refusal) if kind in (COUNT, MOST) else wrong) from None


class SettingsForm(PageForm):
    """Settings of one level: a field for each that it begins with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.update({key: SettingField(key) for key in self.initial})

    @classmethod
    def of_values(cls, request: HttpRequest, keys: Iterable[str], values: Mapping[str, int | str]) -> Self:
        """Return the form of these settings and of all that have a value, written as they are typed."""
        known = (key for key in values if key in SETTABLE or rule_key(key))
        found = {key: values.get(key, "") for key in dict.fromkeys((*keys, *known))}
        if found.get(ROOM, "") != "":
            found[ROOM] = SIZES.prepare_value(int(found[ROOM]))
        return cls.of(request, **{key: str(value) for key, value in found.items()})

    @property
    def changed(self) -> Values:
        """Return what was typed over what its sender saw, not over what others have set since."""
        return {key: self.cleaned_data[key] for key in self.changed_data}

    def groups(self, notes: Mapping[str, list[str]]) -> dict[str, list[ShownSetting]]:
        """Return the fields by title; `notes` stand below their fields."""
        found: dict[str, list[ShownSetting]] = {}
        for key in self.fields:
            began = self[key].as_hidden(only_initial=True)
            shown = ShownSetting(key, setting_label(key), kind_of(key), began, notes.get(key, []))
            found.setdefault(group_of(key), []).append(shown)
        return found


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A field of the form."""

    key: str
    label: str
    kind: Kind
    began: str
    """Hidden input with what its sender saw."""
    notes: list[str]


class Setters:
    """The lines of the audit log by which settings got their values, of the newest ones."""

    def __init__(self, viewer: Principal, targets: Iterable[str]) -> None:
        self.lines: dict[tuple[str, str], AuditEntry] = {}
        wanted = AuditFilter(targets=frozenset(targets))
        for line in audit_page(viewer, wanted, limit=LINES_READ).rows if wanted.targets else ():
            if line.action in ("worker.settings", "settings.change"):
                for key in self._changed(line):
                    self.lines.setdefault((line.target, key), line)

    @staticmethod
    def _changed(line: AuditEntry) -> Iterator[str]:
        """Yield the settings that a line changed."""
        before, after = line.before or {}, line.after or {}
        return (key for key in {*before, *after} if before.get(key) != after.get(key))

    def text(self, target: str, key: str, value: object) -> str:
        """Return who set this value and when; empty where the log does not say."""
        line = self.lines.get((target[:200], key))
        if line is None or (line.after or {}).get(key) != value_with_unit(key, value):
            return ""
        return gettext("Set by {actor}, {at}").format(actor=line.actor, at=minute_text(line.at))
