"""Automation: rules by which the pool moves money and extends sectors, and what each would do now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.automation.rules.extend_specs import ExtendSpec, extend_spec_read
from apps.automation.rules.specs import MoneySpec, spec_read
from apps.automation.selectors.auto_rules import (
    acts_latest,
    auto_rule_get,
    auto_rules_hindered,
    auto_rules_visible,
)
from apps.automation.services.extend_plans import ExtendPlan, extend_plan
from apps.automation.services.rule_changes import (
    auto_rule_add,
    auto_rule_remove,
    auto_rule_set,
    auto_rule_set_on,
)
from apps.automation.services.rule_plans import RulePlan, rule_plan
from apps.automation.states import RuleKind, SectorData
from apps.chain.node.client import page_client
from apps.core import clock, formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text, sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Verdict
from apps.dashboard.confirm_page import approval_facts
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Amount, Integer, Size
from apps.dashboard.object_fields import Address, Found
from apps.dashboard.page_data import AddressNames, PageData
from apps.dashboard.pages.messages.rows import message_row
from apps.dashboard.pages.miners.addresses import head_required, price_facts
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text, Tick
from apps.miners.selectors.miners import miners_visible
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_evident, tenant_resolve, tenants_visible
from apps.wallets.selectors import wallets_visible

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.automation.models import AutoRule

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
    """Why it cannot act now, or why it switched itself off."""

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
        why=shown_text(rule.stopped or rule.note),
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


MONEY_KINDS: Final = tuple(choice for choice in RuleKind.choices if choice[0] != RuleKind.EXTEND)


class RuleForm(PageForm):
    """A rule's settings; kind and tenant are those of a new one."""

    kind = Choice([("", ""), *MONEY_KINDS], initial=RuleKind.TOP_UP)
    tenant = Found(tenant_resolve)
    source = Address()
    target = Address()
    is_escrow = Tick()
    low = Amount()
    high = Amount()
    day_max = Amount()

    def spec(self) -> MoneySpec:
        """Return the settings that were typed."""
        sent = self.cleaned_data
        return MoneySpec(**{name: sent[name] for name in sent if name not in ("kind", "tenant")})


class Names(Text):
    """Sectors, between blanks, commas or line ends."""

    def clean(self, value: Any) -> tuple[str, ...]:
        """Return the names that were typed."""
        return tuple(super().clean(value).replace(",", " ").split())

    def prepare_value(self, value: Any) -> Any:
        """Write them so that reading gives the same."""
        return value if isinstance(value, str) else " ".join(value or ())


class ExtensionForm(PageForm):
    """Settings of a rule that extends sectors; the tenant is that of a new one."""

    tenant = Found(tenant_resolve)
    miner = Text()
    data = Choice(SectorData.choices, initial=SectorData.ANY)  # type: ignore[assignment]  # Django takes fields out of the class
    size = Size()
    remaining_days = Integer()
    age_days = Integer()
    to_days = Integer()
    gas_max = Amount()
    day_sectors = Integer()
    excluded = Names()

    def spec(self) -> ExtendSpec:
        """Return the settings that were typed."""
        return ExtendSpec(**{name: value for name, value in self.cleaned_data.items() if name != "tenant"})


def form_of(request: HttpRequest, rule: AutoRule) -> RuleForm | ExtensionForm:
    """Return the form of a rule that is there."""
    form: RuleForm | ExtensionForm
    if rule.kind == RuleKind.EXTEND:
        extension = extend_spec_read(rule.settings)
        form = ExtensionForm.of(
            request, **{one.name: getattr(extension, one.name) for one in fields(extension)}
        )
    else:
        spec = spec_read(rule.settings)
        typed = {name: getattr(spec, name) for name in ("source", "target", "low", "high", "day_max")}
        form = RuleForm.of(request, kind=rule.kind, is_escrow="1" if spec.is_escrow else "", **typed)
    del form.fields["tenant"]  # it stays the same
    return form


def may_change(viewer: Principal, tenant_id: int | None = None) -> bool:
    """Return whether the viewer changes rules: of a tenant, or (None) of any."""
    is_own = tenant_id is None or viewer.is_operator or tenant_id == viewer.own_id
    return viewer.may("sign") and not viewer.is_partial and is_own


def list_verdict_of(viewer: Principal) -> Verdict:
    """Return in one sentence whether every rule does what it is there for."""
    hindered = auto_rules_hindered(viewer).count()
    if hindered:
        return Verdict(plural(hindered, "rule needs you.", "rules need you."), "")
    on = auto_rules_visible(viewer).filter(is_on=True).count()
    if not on:
        return Verdict(gettext("No rule is on."), "")
    return Verdict(plural(on, "rule is on.", "rules are on."), "")


def list_context(data: PageData) -> dict[str, Any]:
    """Return what the list shows."""
    rules = auto_rules_visible(data.viewer)
    return {"rules": [rule_row(rule, data.names) for rule in rules], "may_add": may_change(data.viewer)}


def list_fragments(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.viewer))
    yield fragment("automation/_rules.html", **list_context(context.data))


@require_safe
@sign_in_required
def automation(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show all rules."""
    data = PageData(viewer)
    return page_render(
        request,
        "automation/list.html",
        title=_("Automation"),
        section="automation",
        page_key="automation",
        data=data,
        verdict=list_verdict_of(viewer),
        **list_context(data),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Add a rule that moves money, switched off."""
    return new_page(request, viewer, RuleForm.from_address(request, viewer, tenant=tenant_evident(viewer)))


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def extension_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Add a rule that extends sectors, switched off."""
    return new_page(
        request, viewer, ExtensionForm.from_address(request, viewer, tenant=tenant_evident(viewer))
    )


def new_page(request: HttpRequest, viewer: Principal, form: RuleForm | ExtensionForm) -> HttpResponse:
    """Show a form, and add its rule."""
    if not may_change(viewer):
        raise Http404
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            tenant, kind = form.cleaned_data["tenant"], form.cleaned_data.get("kind", RuleKind.EXTEND)
            row = auto_rule_add(principal=viewer, tenant=tenant, kind=kind, spec=form.spec())
            notice_leave(request, _("Rule added. It is off: see what it would do, then switch it on."))
            return redirect("auto-rule", row.uuid)
    return form_page(request, viewer, form, title=_("Add an automatic rule"))


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule_edit(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Change a rule's settings, which switches it off."""
    rule = changeable_or_404(viewer, key)
    form = form_of(request, rule)
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            auto_rule_set(principal=viewer, rule=rule, spec=form.spec())
            notice_leave(request, _("Saved. The rule is off until you switch it on."))
            return redirect("auto-rule", rule.uuid)
    return form_page(request, viewer, form, title=_("Change an automatic rule"), rule=rule)


def form_page(
    request: HttpRequest, viewer: Principal, form: RuleForm | ExtensionForm, **more: Any
) -> HttpResponse:
    """Render the form of a rule."""
    rule = more.pop("rule", None)
    names = tenants_visible(viewer).values_list("name", flat=True) if viewer.is_operator else ()
    return form_render(
        request,
        viewer,
        "automation/rule.html" if isinstance(form, RuleForm) else "automation/extension.html",
        form,
        section="automation",
        rule=rule,
        kinds=MONEY_KINDS,
        data_kinds=SectorData.choices,
        tenants=[] if rule is not None else [(name, name) for name in names],
        addresses=suggestions(viewer),
        **more,
    )


@require_safe
@sign_in_required
def rule_detail(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show a rule, what it would do now, and what it has done."""
    return detail_page(request, viewer, auto_rule_get(viewer, key))


def detail_page(request: HttpRequest, viewer: Principal, rule: AutoRule, *, error: str = "") -> HttpResponse:
    """Render a rule's page; `error` is what was refused a moment ago."""
    data, away = PageData(viewer), ""
    plan: RulePlan | ExtendPlan | None = None
    try:
        reckon = extend_plan if rule.kind == RuleKind.EXTEND else rule_plan
        plan = reckon(rule, client=page_client(), head=head_required(data), now=clock.now())
    except DomainError as refusal:
        away = refusal_text(refusal)
    return page_render(
        request,
        "automation/detail.html",
        title=rule.get_kind_display(),
        section="automation",
        page_key="",
        data=data,
        status=422 if error else 200,
        error=error,
        rule=rule,
        shown=rule_row(rule, data.names),
        facts=list(settings_facts(rule)),
        plan=plan,
        plan_rows=list(plan_facts(plan)) if plan is not None else [],
        away=away,
        acts=[
            (
                act,
                message_row(act.message, data.names) if act.message is not None else None,
                plural(act.sectors, "sector"),
            )
            for act in acts_latest(rule)
        ],
        may_change=may_change(viewer, rule.tenant_id),
    )


@require_POST
@sign_in_required
def rule_act(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Switch a rule on or off, or remove it."""
    if op not in ("on", "off", "remove"):
        raise Http404
    rule = changeable_or_404(viewer, key)
    if op != "off" and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    try:
        if op == "remove":
            auto_rule_remove(principal=viewer, rule=rule)
            notice_leave(request, _("Rule removed."))
            return redirect("automation")
        auto_rule_set_on(principal=viewer, rule=rule, is_on=op == "on")
    except DomainError as refusal:
        return detail_page(request, viewer, rule, error=refusal_text(refusal))
    return redirect("auto-rule", rule.uuid)


def changeable_or_404(viewer: Principal, key: UUID) -> AutoRule:
    """Return a rule that the viewer may change."""
    rule = auto_rule_get(viewer, key)
    if not may_change(viewer, rule.tenant_id):
        raise Http404
    return rule


NAV: Final = NavItem("automation", _("Automation"), "run", place=(5, 6))
urlpatterns: Final = [
    path("automation/", automation, name="automation"),
    path("automation/new/", rule_new, name="auto-rule-new"),
    path("automation/new-extension/", extension_new, name="auto-rule-new-extension"),
    path("automation/<uuid:key>/", rule_detail, name="auto-rule"),
    path("automation/<uuid:key>/edit/", rule_edit, name="auto-rule-edit"),
    path("automation/<uuid:key>/<str:op>/", rule_act, name="auto-rule-act"),
]
LIVE: Final = {"automation": LivePage({"auto-rule": (list_fragments,)})}
