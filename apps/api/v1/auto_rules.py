"""Automatic rules over REST: listed, added, changed, switched, removed, and what one would do now."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.message_changes import head_needed
from apps.api.v1.serializers import CODE_HELP, AddressField, AmountField, InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.automation.rules.extend_specs import DAY_SECTORS_MAX, DAYS_MAX, EXCLUDED_MAX, ExtendSpec
from apps.automation.rules.specs import MoneySpec
from apps.automation.selectors.auto_rules import auto_rule_get, auto_rules_visible
from apps.automation.services.extend_plans import ExtendPlan, extend_plan
from apps.automation.services.rule_changes import (
    Spec,
    auto_rule_add,
    auto_rule_remove,
    auto_rule_set,
    auto_rule_set_on,
)
from apps.automation.services.rule_plans import RulePlan, rule_plan
from apps.automation.states import RuleKind, SectorData
from apps.chain.node.client import page_client
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.users.selectors.tenants import tenant_chosen

if TYPE_CHECKING:
    from apps.automation.models import AutoRule

ATTO = "attoFIL"


class AutoRuleSettings(InputSerializer):
    """Settings of a rule.  Top-ups and sweeps have `source` to `is_escrow`; extensions have the others."""

    source = AddressField(  # type: ignore[assignment]  # DRF takes it for a field
        required=False, help_text="A wallet of the tenant; for a sweep also one of its miners."
    )
    target = AddressField(
        required=False, help_text="Who receives it; for a miner that is swept its beneficiary."
    )
    low = AmountField(required=False, help_text="A top-up begins below it; a sweep leaves it.")
    high = AmountField(required=False, help_text="A top-up fills up to it; a sweep begins above it.")
    day_max = AmountField(required=False, help_text="Most that the rule moves in a UTC day.")
    is_escrow = serializers.BooleanField(
        required=False, help_text="Whether a top-up pays into the target's market balance."
    )
    miner = AddressField(required=False, help_text="By default every miner of the tenant.")
    size = serializers.IntegerField(
        required=False, min_value=0, max_value=1 << 40, help_text="Bytes of a sector; 0: any."
    )
    data = serializers.ChoiceField(  # type: ignore[assignment]  # DRF takes it for a field
        required=False, choices=SectorData.choices
    )
    remaining_days = serializers.IntegerField(
        required=False, min_value=1, max_value=DAYS_MAX, help_text="Sectors that end within so many days."
    )
    age_days = serializers.IntegerField(
        required=False, min_value=0, max_value=DAYS_MAX, help_text="Only sectors that are so old."
    )
    to_days = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=DAYS_MAX,
        help_text="How long they then have; 0: as long as the chain takes with all their claims.",
    )
    gas_max = AmountField(required=False, help_text="Most that the gas of a sector may cost; 0: any.")
    day_sectors = serializers.IntegerField(
        required=False, min_value=1, max_value=DAY_SECTORS_MAX, help_text="Most sectors of a UTC day."
    )
    excluded = serializers.ListField(
        required=False,
        child=serializers.CharField(max_length=50),
        max_length=EXCLUDED_MAX,
        help_text="Sectors that are left alone, as `f01004-12`.",
    )


class AutoRuleInput(AutoRuleSettings):
    """A new rule; it is off."""

    kind = serializers.ChoiceField(choices=RuleKind.values)
    tenant = serializers.CharField(required=False, max_length=100, help_text="By default your own.")


class AutoRuleSwitch(InputSerializer):
    """Switches a rule on or off."""

    is_on = serializers.BooleanField()


class AutoRuleOutput(serializers.Serializer[Any]):
    """One rule."""

    uuid = serializers.UUIDField()
    tenant = serializers.CharField()
    kind = serializers.ChoiceField(choices=RuleKind.values)
    is_on = serializers.BooleanField()
    settings = AutoRuleSettings(help_text="Amounts in attoFIL.")
    switched_by = serializers.CharField()
    note = serializers.CharField(help_text="What is in its way; empty if nothing is.")
    note_code = serializers.CharField(help_text=CODE_HELP)
    noted_at = serializers.DateTimeField(allow_null=True)
    stopped = serializers.CharField(help_text="Why it switched itself off; empty unless it did.")
    stopped_code = serializers.CharField(help_text=CODE_HELP)
    acts_begun = serializers.IntegerField(help_text="How often it has acted.")


class AutoRulePage(serializers.Serializer[Any]):
    """All rules."""

    results = AutoRuleOutput(many=True)


class AutoRulePlanOutput(serializers.Serializer[Any]):
    """Dry run of a rule at this head, whether it is on or off."""

    push_id = serializers.CharField(help_text="Of the message that it would push; empty: none now.")
    balance = serializers.CharField(allow_null=True, help_text="attoFIL that it watches; null: not read.")
    moved_today = serializers.CharField(help_text="attoFIL, or sectors that were extended.")
    amount = serializers.CharField(help_text="attoFIL that it would move.")
    sectors = serializers.ListField(child=serializers.CharField(), help_text="That it would extend.")
    cost_max = serializers.CharField(help_text="attoFIL that the messages would take at most.")
    approval = serializers.CharField(help_text="The rule by which it would wait for a second person.")
    why = serializers.CharField(help_text="Why nothing is pushed now; empty if a message is.")
    why_code = serializers.CharField(help_text=CODE_HELP)
    is_hindered = serializers.BooleanField(help_text="Whether a person should mend that.")


def rule_body(row: AutoRule) -> dict[str, Any]:
    """Return one rule as JSON."""
    own = ("uuid", "kind", "is_on", "switched_by", "note", "noted_at", "stopped", "acts_begun")
    return {
        **{name: getattr(row, name) for name in own},
        "note_code": code_of(row.note),
        "stopped_code": code_of(row.stopped),
        "uuid": str(row.uuid),
        "tenant": row.tenant.name,
        "settings": row.settings,
    }


def spec_of(kind: str, data: dict[str, Any]) -> Spec:
    """Return the settings of a rule of a kind.  Raises BadValue naming what is missing or of another."""
    form: type[Spec] = ExtendSpec if kind == RuleKind.EXTEND else MoneySpec
    own = {one.name: one.default is MISSING for one in fields(form)}
    if strange := sorted(data.keys() - own.keys()):
        raise BadValue(gettext("no setting of a rule of this kind"), field=strange[0])
    if missing := [name for name, is_needed in own.items() if is_needed and name not in data]:
        raise BadValue(gettext("a rule of this kind needs it"), field=missing[0])
    values: dict[str, Any] = data | ({"excluded": tuple(data["excluded"])} if "excluded" in data else {})
    return form(**values)


def plan_body(plan: RulePlan | ExtendPlan) -> dict[str, Any]:
    """Return what a rule would do as JSON."""
    if isinstance(plan, ExtendPlan):
        found = plan.plan
        sectors = [] if found is None else [one.sector for one in found.accepted]
        return {
            "push_id": "",
            "balance": None,
            "moved_today": str(plan.spent),
            "amount": "0",
            "sectors": [f"{sector.miner.address}-{sector.number}" for sector in sectors],
            "cost_max": str((found.gas_max or 0) if found else 0),
            "approval": found.approval if found else "",
            "why": plan.why,
            "why_code": code_of(plan.why),
            "is_hindered": plan.is_hindered,
        }
    run = plan.run
    return {
        "push_id": "" if plan.item is None else plan.item.id,
        "balance": None if plan.balance is None else str(plan.balance),
        "moved_today": str(plan.spent),
        "amount": str(plan.amount),
        "sectors": [],
        "cost_max": str(0 if run is None else run.cost_max),
        "approval": "" if run is None else run.approval,
        "why": plan.why,
        "why_code": code_of(plan.why),
        "is_hindered": plan.is_hindered,
    }


class AutoRulesView(PoolView):
    """`/auto-rules`: what the pool does by itself."""

    filters = ()
    perms = {**PoolView.perms, "POST": "sign"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(operation_id="v1_auto_rules_list", responses=AutoRulePage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List the automatic rules."""
        return Response({"results": [rule_body(row) for row in auto_rules_visible(self.principal)]})

    @extend_schema(operation_id="v1_auto_rules_add", request=AutoRuleInput, responses={201: AutoRuleOutput})
    def post(self, request: Request) -> Response:
        """Add a rule; it does nothing before it is switched on."""
        data = checked(AutoRuleInput(data=request.data))
        tenant = tenant_chosen(self.principal, data.pop("tenant", None))
        kind = data.pop("kind")
        row = auto_rule_add(principal=self.principal, tenant=tenant, kind=kind, spec=spec_of(kind, data))
        return created(rule_body(row))


class AutoRuleView(PoolView):
    """`/auto-rules/{uuid}`: one rule."""

    perms = {**PoolView.perms, "PUT": "sign", "PATCH": "sign", "DELETE": "sign"}
    whole_methods = ("PUT", "PATCH", "DELETE")
    confirmed_methods = ("PUT", "PATCH", "DELETE")

    @extend_schema(operation_id="v1_auto_rule", responses=AutoRuleOutput)
    def get(self, request: Request, uuid: UUID) -> Response:  # noqa: ARG002  # DRF's form
        """Return one rule."""
        return Response(rule_body(auto_rule_get(self.principal, uuid)))

    @extend_schema(operation_id="v1_auto_rule_set", request=AutoRuleSettings, responses=AutoRuleOutput)
    def put(self, request: Request, uuid: UUID) -> Response:
        """Change a rule's settings; this switches it off."""
        rule = auto_rule_get(self.principal, uuid)
        spec = spec_of(rule.kind, checked(AutoRuleSettings(data=request.data)))
        return Response(rule_body(auto_rule_set(principal=self.principal, rule=rule, spec=spec)))

    @extend_schema(operation_id="v1_auto_rule_set_on", request=AutoRuleSwitch, responses=AutoRuleOutput)
    def patch(self, request: Request, uuid: UUID) -> Response:
        """Switch a rule on or off; what it has pushed goes on."""
        rule = auto_rule_get(self.principal, uuid)
        is_on = checked(AutoRuleSwitch(data=request.data))["is_on"]
        return Response(rule_body(auto_rule_set_on(principal=self.principal, rule=rule, is_on=is_on)))

    @extend_schema(operation_id="v1_auto_rule_remove", responses={204: None})
    def delete(self, request: Request, uuid: UUID) -> Response:  # noqa: ARG002  # DRF's form
        """Remove a rule; what it has pushed goes on."""
        auto_rule_remove(principal=self.principal, rule=auto_rule_get(self.principal, uuid))
        return Response(status=status.HTTP_204_NO_CONTENT)


class AutoRulePlanView(PoolView):
    """`/auto-rules/{uuid}/dry-run`: what a rule would do now."""

    @extend_schema(operation_id="v1_auto_rule_dry_run", responses=AutoRulePlanOutput)
    def get(self, request: Request, uuid: UUID) -> Response:  # noqa: ARG002  # DRF's form
        """Return what a rule would do at this head, whether it is on or off; nothing is stored or signed."""
        rule = auto_rule_get(self.principal, uuid)
        reckon = extend_plan if rule.kind == RuleKind.EXTEND else rule_plan
        return Response(plan_body(reckon(rule, client=page_client(), head=head_needed(), now=clock.now())))


urlpatterns = [
    path("auto-rules", AutoRulesView.as_view(), name="auto-rules"),
    path("auto-rules/<uuid:uuid>", AutoRuleView.as_view(), name="auto-rule"),
    path("auto-rules/<uuid:uuid>/dry-run", AutoRulePlanView.as_view(), name="auto-rule-dry-run"),
]
