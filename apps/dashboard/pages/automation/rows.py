"""Automatic rules in words: what each does, and what is in its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.automation.rules.specs import spec_read
from apps.automation.states import RuleKind
from apps.core import formatting
from apps.core.languages import list_text, sentence_text
from apps.core.stored_texts import stored_text
from apps.dashboard.pages.miners.addresses import price_facts
from apps.miners.selectors.miners import miners_visible
from apps.wallets.selectors import wallets_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_stubs_ext import StrOrPromise

    from apps.automation.models import AutoRule
    from apps.automation.rules.specs import MoneySpec
    from apps.automation.services.rule_plans import RulePlan
    from apps.dashboard.page_data import AddressNames
    from apps.users.rules.principals import Principal

SUGGESTED_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule in a list."""

    key: str
    kind: StrOrPromise
    what: str
    day: str
    whose: str
    tone: str
    word: StrOrPromise
    why: str
    """What is in its way, or why it switched itself off."""

    @property
    def says(self) -> str:
        """What it does, in one sentence."""
        return sentence_text(list_text((self.what, self.day)))


def rule_row(rule: AutoRule, names: AddressNames) -> RuleRow:
    """Lay out one rule."""
    spec = spec_read(rule.settings)
    tone, word = ("ok", _("on")) if rule.is_on else ("idle", _("off"))
    if rule.stopped:
        tone, word = "bad", _("stopped")
    elif rule.is_on and rule.note:
        tone, word = "warn", _("hindered")
    return RuleRow(
        key=str(rule.uuid),
        kind=rule.get_kind_display(),
        what=rule_words(rule, spec, names),
        day=gettext("at most {day_max} FIL a day").format(day_max=formatting.fil(spec.day_max)),
        whose=rule.tenant.name,
        tone=tone,
        word=word,
        why=stored_text(rule.stopped or rule.note),
    )


def rule_words(rule: AutoRule, spec: MoneySpec, names: AddressNames) -> str:
    """Return in one sentence what a rule does."""
    if rule.kind == RuleKind.SWEEP:
        text = gettext("from {source} to {target} all but {low} FIL, once it has more than {high} FIL")
    elif spec.is_escrow:
        text = gettext(
            "from {source} into the market balance of {target} up to {high} FIL, once that is below {low} FIL"
        )
    else:
        text = gettext("from {source} to {target} up to {high} FIL, once it has less than {low} FIL")
    return text.format(
        source=_named(spec.source, names),
        target=_named(spec.target, names),
        low=formatting.fil(spec.low),
        high=formatting.fil(spec.high),
    )


def _named(address: str, names: AddressNames) -> str:
    return names.miners.get(address) or names.wallets.get(address) or formatting.shortened(address)


def settings_facts(rule: AutoRule) -> Iterable[tuple[str, str]]:
    """Yield a rule's settings, and who switched it."""
    spec = spec_read(rule.settings)
    yield gettext("From"), spec.source
    to = gettext("To the market balance of") if spec.is_escrow else gettext("To")
    yield to, spec.target
    yield gettext("Low mark"), f"{formatting.fil(spec.low)} FIL"
    yield gettext("High mark"), f"{formatting.fil(spec.high)} FIL"
    yield gettext("Daily limit"), f"{formatting.fil(spec.day_max)} FIL"
    if rule.switched_by:
        yield gettext("Switched by"), rule.switched_by


def plan_facts(plan: RulePlan) -> Iterable[tuple[str, str]]:
    """Yield what a rule would do now."""
    if plan.balance is not None:
        yield gettext("Balance"), f"{formatting.fil(plan.balance)} FIL"
    yield gettext("Moved today"), f"{formatting.fil(plan.spent)} FIL"
    if plan.amount:
        yield gettext("Amount"), f"{formatting.fil(plan.amount)} FIL"
    if plan.run is not None:
        yield gettext("Sent by"), str(plan.run.message.from_)
        yield from price_facts(plan.run)


def suggestions(viewer: Principal) -> list[tuple[str, str]]:
    """Return addresses that a rule may name, each with what it is for: wallets, miners, their workers."""
    found = {row.address: row.label for row in wallets_visible(viewer)[:SUGGESTED_MAX]}
    for miner in miners_visible(viewer)[:SUGGESTED_MAX]:
        if miner.address:
            found[miner.address] = miner.name
        if miner.worker:
            found.setdefault(miner.worker, "")
            found[miner.worker] = found[miner.worker] or gettext("worker of {miner}").format(miner=miner)
    return list(found.items())
