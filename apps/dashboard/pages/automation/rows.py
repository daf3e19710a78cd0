"""Automatic rules in words: what each does, and what is in its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.automation.rules.extend_specs import extend_spec_read
from apps.automation.rules.specs import spec_read
from apps.automation.services.extend_plans import ExtendPlan
from apps.automation.states import RuleKind, SectorData
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text, sentence_text
from apps.core.stored_texts import stored_text
from apps.dashboard.confirm_page import approval_facts
from apps.dashboard.pages.miners.addresses import price_facts
from apps.miners.selectors.miners import miners_visible
from apps.wallets.selectors import wallets_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_stubs_ext import StrOrPromise

    from apps.automation.models import AutoRule
    from apps.automation.rules.extend_specs import ExtendSpec
    from apps.automation.rules.specs import MoneySpec
    from apps.automation.services.rule_plans import RulePlan
    from apps.dashboard.page_data import AddressNames
    from apps.users.rules.principals import Principal

SUGGESTED_MAX: Final = 200
NAMED_MAX: Final = 20
"""Sectors that are named of those that would be extended."""


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
        return sentence_text(clauses_text((self.what, self.day)))


def rule_row(rule: AutoRule, names: AddressNames) -> RuleRow:
    """Lay out one rule."""
    tone, word = ("ok", _("on")) if rule.is_on else ("idle", _("off"))
    if rule.stopped:
        tone, word = "bad", _("stopped")
    elif rule.is_on and rule.note:
        tone, word = "warn", _("hindered")
    return RuleRow(
        key=str(rule.uuid),
        kind=rule.get_kind_display(),
        what=rule_words(rule, names),
        day=day_words(rule),
        whose=rule.tenant.name,
        tone=tone,
        word=word,
        why=stored_text(rule.stopped or rule.note),
    )


def day_words(rule: AutoRule) -> str:
    """Return a rule's daily limit."""
    if rule.kind == RuleKind.EXTEND:
        sectors = plural(extend_spec_read(rule.settings).day_sectors, "sector")
        return gettext("at most {sectors} a day").format(sectors=sectors)
    day_max = formatting.fil(spec_read(rule.settings).day_max)
    return gettext("at most {day_max} FIL a day").format(day_max=day_max)


def rule_words(rule: AutoRule, names: AddressNames) -> str:
    """Return in one sentence what a rule does."""
    if rule.kind == RuleKind.EXTEND:
        return _extension_words(extend_spec_read(rule.settings), names)
    spec = spec_read(rule.settings)
    if rule.kind == RuleKind.SWEEP:
        text = gettext("From {source} to {target} all but {low} FIL, once it has more than {high} FIL")
    elif spec.is_escrow:
        text = gettext(
            "From {source} into the market balance of {target} up to {high} FIL, once that is below {low} FIL"
        )
    else:
        text = gettext("From {source} to {target} up to {high} FIL, once it has less than {low} FIL")
    return text.format(
        source=_named(spec.source, names),
        target=_named(spec.target, names),
        low=formatting.fil(spec.low),
        high=formatting.fil(spec.high),
    )


def _extension_words(spec: ExtendSpec, names: AddressNames) -> str:
    who = _named(spec.miner, names) if spec.miner else gettext("all miners of the tenant")
    if spec.to_days:
        text = gettext("Extends {sectors} of {who} that end within {days} days, to {to_days} days from now")
    else:
        text = gettext(
            "Extends {sectors} of {who} that end within {days} days, as far as the chain takes them"
        )
    sectors = SectorData(spec.data).label
    return text.format(sectors=sectors, who=who, days=spec.remaining_days, to_days=spec.to_days)


def _named(address: str, names: AddressNames) -> str:
    return names.miners.get(address) or names.wallets.get(address) or formatting.shortened(address)


def settings_facts(rule: AutoRule) -> Iterable[tuple[str, str]]:
    """Yield a rule's settings, and who switched it."""
    if rule.kind == RuleKind.EXTEND:
        yield from _extension_facts(extend_spec_read(rule.settings))
    else:
        yield from _money_facts(spec_read(rule.settings))
    if rule.switched_by:
        yield gettext("Switched by"), rule.switched_by


def _money_facts(spec: MoneySpec) -> Iterable[tuple[str, str]]:
    yield gettext("From"), spec.source
    to = gettext("To the market balance of") if spec.is_escrow else gettext("To")
    yield to, spec.target
    yield gettext("Low mark"), f"{formatting.fil(spec.low)} FIL"
    yield gettext("High mark"), f"{formatting.fil(spec.high)} FIL"
    yield gettext("Daily limit"), f"{formatting.fil(spec.day_max)} FIL"


def _extension_facts(spec: ExtendSpec) -> Iterable[tuple[str, str]]:
    yield gettext("Miner"), spec.miner or gettext("all miners of the tenant")
    yield gettext("Sectors"), str(SectorData(spec.data).label)
    if spec.size:
        yield gettext("Sector size"), " ".join(formatting.size(spec.size))
    yield gettext("Ends within"), plural(spec.remaining_days, "day")
    if spec.age_days:
        yield gettext("Age, at least"), plural(spec.age_days, "day")
    to = plural(spec.to_days, "day") if spec.to_days else gettext("as long as the chain takes")
    yield gettext("Extended to"), to
    if spec.gas_max:
        yield gettext("Gas of a sector, at most"), f"{formatting.fil(spec.gas_max)} FIL"
    yield gettext("Daily limit"), plural(spec.day_sectors, "sector")
    if spec.excluded:
        yield gettext("Left alone"), list_text(spec.excluded)


def plan_facts(plan: RulePlan | ExtendPlan) -> Iterable[tuple[str, str]]:
    """Yield what a rule would do now."""
    if isinstance(plan, ExtendPlan):
        yield from _extend_plan_facts(plan)
        return
    if plan.balance is not None:
        yield gettext("Balance"), f"{formatting.fil(plan.balance)} FIL"
    yield gettext("Moved today"), f"{formatting.fil(plan.spent)} FIL"
    if plan.amount:
        yield gettext("Amount"), f"{formatting.fil(plan.amount)} FIL"
    if plan.run is not None:
        yield gettext("Sent by"), str(plan.run.message.from_)
        yield from price_facts(plan.run)


def _extend_plan_facts(plan: ExtendPlan) -> Iterable[tuple[str, str]]:
    yield gettext("Extended today"), plural(plan.spent, "sector")
    if plan.plan is None:
        return
    accepted = plan.plan.accepted
    yield gettext("Extends now"), plural(len(accepted), "sector")
    shown = [f"{one.sector.miner.address}-{one.sector.number}" for one in accepted[:NAMED_MAX]]
    more = [gettext("and others")] if len(accepted) > len(shown) else []
    yield gettext("Sectors"), list_text([*shown, *more])
    if plan.plan.gas_expected is not None:
        yield gettext("Gas, expected"), f"{formatting.fil(plan.plan.gas_expected)} FIL"
    yield from approval_facts(plan.plan.approval)


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
