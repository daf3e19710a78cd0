"""Rules on the gas page: fees of methods, guards, and automatic fee bumps."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse

from apps.dashboard.pages.messages.diagnosis_checks import limit_href
from apps.messages.models import (
    ActorRules,
    AutoBumpRule,
    GasGuard,
    Message,
)
from apps.messages.rules.push_items import Gas
from apps.messages.selectors.fees import GUARD, METHOD, NODE, POOL, TENANT, WHERE
from apps.messages.selectors.message_limits import Limit
from apps.users.models import AuditEntry
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, tenant

pytestmark = pytest.mark.django_db
CHEAP = Gas(limit=2_000_000, fee_cap=1_000, premium=100)


class TestMethodRules:
    def test_a_rule_is_made_shown_changed_and_removed(self, pool):
        operator_person()
        pool.node.kinds["f04"] = "storagepower"
        client, page = signed_in("olga"), reverse("gas")
        form = {"to": "f04", "method": "CreateMiner", "max_fee": "0.5"}

        assert client.post(reverse("gas-method-new"), form).status_code == 302
        shown = text_of(client.get(page))
        rule = ActorRules.objects.get()
        assert "power CreateMiner" in shown
        assert "max fee 0.5 FIL" in shown
        assert rule.method == 2
        assert 'value="0.5"' in text_of(client.get(reverse("gas-method", args=[rule.pk])))
        client.post(reverse("gas-method", args=[rule.pk]), {"max_fee": "0.25", "gas_over_premium": "2"})
        rule.refresh_from_db()
        assert (rule.max_fee, rule.gas_over_premium) == (25 * 10**16, 2)
        client.post(reverse("gas-method-remove", args=[rule.pk]))

        assert not ActorRules.objects.exists()
        actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
        assert list(actions) == ["rules.set", "rules.set", "rules.remove"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [("to", "nobody"), ("to", ""), ("method", "Dance"), ("max_fee", "many"), ("max_fee", "")],
    )
    def test_a_wrong_field_is_named(self, pool, field, value):
        operator_person()
        pool.node.kinds["f04"] = "storagepower"
        form = {"to": "f04", "method": "2", "max_fee": "0.5", field: value}

        answer = signed_in("olga").post(reverse("gas-method-new"), form)

        assert answer.status_code == 422
        assert f'id="{field}-error"' in text_of(answer)
        assert not ActorRules.objects.exists()

    @pytest.mark.parametrize(
        ("level", "operators", "tenants"),
        [
            (METHOD, "/gas/#h-methods", "/senders/f01005/"),
            (POOL, "/gas/rules/", "/senders/f01005/"),
            (GUARD, "/gas/#h-guards", ""),
            (TENANT, "/gas/", "/gas/"),
        ],
    )
    def test_the_doctor_links_to_what_the_viewer_may_change(self, level, operators, tenants):
        for is_operator, href in ((True, operators), (False, tenants)):
            viewer = SimpleNamespace(may=lambda _level: True, is_operator=is_operator)
            data: Any = SimpleNamespace(viewer=viewer)

            assert limit_href(Limit(level, "max_fee", 5, "code 2"), Message(from_addr="f01005"), data) == href

    @pytest.mark.parametrize("level", [METHOD, POOL, GUARD, NODE])
    def test_what_only_operators_change_is_said_to_be_theirs(self, level):
        assert "the operator" in WHERE[level].lower()

    def test_a_tenant_sees_rules_and_changes_none(self, pool):
        rule = ActorRules.objects.create(code=factories.cid("code"), method=2, max_fee=5)
        client = signed_in("ann")

        page = text_of(client.get(reverse("gas")))

        assert "method 2" in page
        assert reverse("gas-method-new") not in page
        for name, args in (
            ("gas-method-new", []),
            ("gas-method", [rule.pk]),
            ("gas-method-remove", [rule.pk]),
        ):
            assert client.post(reverse(name, args=args), {"max_fee": "1"}).status_code == 404
        rule.refresh_from_db()
        assert rule.max_fee == 5


class TestGuards:
    def test_a_guard_is_made_shown_and_removed(self):
        person()
        client = signed_in("ann")

        made = client.post(reverse("gas-guard-new"), {"tenant": "alice", "max_fee": "0.02", "method": "5"})
        assert made.status_code == 302
        guard = GasGuard.objects.get()
        assert (guard.max_fee, guard.method, str(guard.tenant)) == (2 * 10**16, 5, "alice")
        assert "method 5" in text_of(client.get(reverse("gas")))

        client.post(reverse("gas-guard-remove", args=[guard.uuid]))
        assert not GasGuard.objects.exists()

    def test_a_guard_takes_a_method_by_its_name(self):
        person()
        client, sent = signed_in("ann"), {"tenant": "alice", "max_fee": "0.02", "actor": "miner"}

        form = text_of(client.get(reverse("gas-guard-new")))
        assert '<option value="SubmitWindowedPoSt">miner 5</option>' in form
        assert 'list="methods"' in form
        client.post(reverse("gas-guard-new"), sent | {"method": "submitwindowedpost"})

        assert GasGuard.objects.get().method == 5
        for wrong in ({"method": "Nope"}, {"method": "SubmitWindowedPoSt", "actor": ""}):
            answer = client.post(reverse("gas-guard-new"), sent | wrong)
            assert (answer.status_code, 'id="method-error"' in text_of(answer)) == (422, True)
        assert GasGuard.objects.count() == 1

    def test_a_guard_without_a_limit_is_refused(self):
        person()

        answer = signed_in("ann").post(reverse("gas-guard-new"), {"tenant": "alice"})

        assert answer.status_code == 422
        assert 'id="max_fee-error"' in text_of(answer)

    def test_only_the_operator_guards_everybody(self):
        person()
        operator_person()

        signed_in("olga").post(reverse("gas-guard-new"), {"tenant": "", "daily_budget": "3"})
        guard = GasGuard.objects.get()
        assert guard.tenant is None
        client = signed_in("ann")
        assert client.post(reverse("gas-guard-new"), {"tenant": "bob", "max_fee": "1"}).status_code == 422
        assert client.post(reverse("gas-guard-remove", args=[guard.uuid])).status_code == 404
        assert "all tenants" in text_of(client.get(reverse("gas")))

    def test_auto_bump_is_set(self):
        person()
        form = {"tenant": "alice", "is_on": "1", "within_epochs": "30", "every_epochs": "4", "max_fee": "0.5"}

        signed_in("ann").post(reverse("gas-auto-bump"), form)

        rule = AutoBumpRule.objects.get()
        assert (rule.within_epochs, rule.every_epochs, rule.max_fee) == (30, 4, 5 * 10**17)
        assert "30 epochs before" in text_of(signed_in("ann").get(reverse("gas")))

    def test_auto_bump_form_begins_with_the_stored_rule(self):
        person()
        operator_person()
        for name, is_on in (("alice", True), ("bob", False)):
            AutoBumpRule.objects.create(
                tenant=tenant(name),
                is_on=is_on,
                within_epochs=30,
                every_epochs=4,
                max_fee=5 * 10**17,
            )
        where, olga = reverse("gas-auto-bump"), signed_in("olga")

        own = text_of(signed_in("ann").get(where))
        other = text_of(olga.get(where, {"tenant": "bob"}))

        for page in (own, other):
            assert re.findall(r'name="(within_epochs|every_epochs|max_fee)"[^>]*value="([\d.]+)"', page) == [
                ("within_epochs", "30"),
                ("every_epochs", "4"),
                ("max_fee", "0.5"),
            ]
        assert '<option value="0" selected>' in other
        assert '<option value="0" selected>' not in own
        assert 'name="tenant" value="bob"' in other
        assert signed_in("ann").get(where, {"tenant": "bob"}).status_code == 404
        kept = {"tenant": "bob", "is_on": "0", "within_epochs": "soon", "every_epochs": "4", "max_fee": ""}
        assert '<option value="0" selected>' in text_of(olga.post(where, kept))
