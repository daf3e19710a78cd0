"""What the operator promises a tenant, and whether it was met: never said where causes are unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.checks.models import ServiceDay, ServiceTargets, TenantServiceDay
from apps.checks.selectors.service_levels import service_months
from apps.checks.selectors.service_targets import targets_in, targets_of, targets_results
from apps.checks.services.service_targets import service_targets_set
from apps.core.clock import now
from apps.core.errors import BadValue, NotAllowed
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests import people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def promise(at: datetime = NOON, **values: Any) -> ServiceTargets:
    given = {name: Decimal(0) for name in ("posts_percent", "wins_percent", "console_percent")}
    facts: dict[str, Any] = {"principal": SYSTEM, "tenant": people.tenant("alice"), "landing_s": 0}
    return service_targets_set(now=at, **facts | given | values)


def judged(of: str, targets: dict[str, Any], **counts: Any) -> str | None:
    """Whether a target is met in a month of one day."""
    day = ServiceDay.objects.create(day=NOON.date(), end_epoch=1)
    TenantServiceDay.objects.create(day=day, tenant=people.tenant("alice"), **counts)
    (month,) = service_months(TenantServiceDay.objects.all())
    return targets_results(promise(**targets), month).get(of)


@pytest.mark.parametrize(
    ("pool", "tenant", "unknown", "expected"),
    [(0, 50, 0, "MET"), (1, 0, 0, "MET"), (2, 0, 0, "MISSED"), (1, 0, 5, "UNKNOWN"), (0, 0, 1, "MET")],
)
def test_share_is_met_or_not_only_where_causes_allow_it(
    pool: int, tenant: int, unknown: int, expected: str
) -> None:
    counts = {"posts_proven": 99, "posts_missed_pool": pool, "posts_missed_tenant": tenant}
    targets = {"posts_percent": Decimal(99)}

    assert judged("posts_percent", targets, posts_missed_unknown=unknown, **counts) == expected


def test_landing_time_is_met_within_its_limit() -> None:
    counts = {"messages_pushed": 10, "messages_landed": 10, "landing_times": [0, 0, 0, 10] + [10] * 10}

    assert judged("landing_s", {"landing_s": 90}, **counts) == "MET"
    (month,) = service_months(TenantServiceDay.objects.all())
    assert targets_results(promise(landing_s=60), month) == {"landing_s": "MISSED"}


def test_uptime_without_a_record_is_unknown() -> None:
    assert judged("console_percent", {"console_percent": Decimal("99.9")}) == "UNKNOWN"


def test_targets_that_were_not_set_are_not_judged() -> None:
    assert judged("posts_percent", {"posts_percent": Decimal(0)}, posts_missed_pool=5) is None


def test_earlier_months_keep_what_was_promised_then() -> None:
    promise(NOON - timedelta(days=60), posts_percent=Decimal(95))
    promise(posts_percent=Decimal(99))
    promise(posts_percent=Decimal("99.5"))
    rows = targets_of(people.tenant("alice"))

    found = [targets_in(rows, date(2026, month, 1)) for month in (8, 9, 10, 11)]
    assert [one and one.posts_percent for one in found] == [None, 95, 95, Decimal("99.5")]
    lines = AuditEntry.objects.filter(action="service.targets").order_by("pk")
    assert [(one.before or {}).get("posts_percent") for one in lines] == [None, "95.00 %", "99.00 %"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"posts_percent": Decimal(101)}, "posts_percent"),
        ({"wins_percent": Decimal("99.999")}, "wins_percent"),
        ({"landing_s": 91}, "landing_s"),
    ],
)
def test_target_that_makes_no_sense_is_refused(values: Any, field: str) -> None:
    with pytest.raises(BadValue) as refusal:
        promise(**values)

    assert refusal.value.field == field


def test_only_the_operator_promises() -> None:
    with pytest.raises(NotAllowed):
        promise(principal=people.principal())


def test_operator_promises_on_the_page_and_the_tenant_sees_it(client: Client) -> None:
    people.person()
    people.operator_person()
    alice = people.tenant("alice")
    day = ServiceDay.objects.create(day=now().date(), end_epoch=1)
    TenantServiceDay.objects.create(day=day, tenant=alice, posts_proven=9, posts_missed_pool=1)
    page, form = (reverse(name, args=[alice.uuid]) for name in ("tenant-service", "tenant-service-targets"))
    operator = signed_in("olga")

    assert operator.post(form, {"posts_percent": "most"}).status_code == 422
    assert operator.post(form, {"posts_percent": "99.5", "landing_s": "90"}).status_code == 302

    shown = text_of(signed_in().get(page))
    assert "proofs 99.5 %" in shown
    assert "not met" in shown
    assert "Targets…" not in shown
    assert signed_in().get(form).status_code == 404
    filled = text_of(operator.get(form))
    assert "99.5" in filled
    assert '<option value="90" selected>' in filled
    assert "%%" not in filled
    headers = people.bearer(people.token("read", of="alice"))
    (month,) = client.get("/api/v1/service-levels", headers=headers).json()
    assert month["targets"] == {"posts_percent": "MISSED", "landing_s": "MET"}


def test_operator_promises_over_rest(client: Client) -> None:
    people.tenant("alice")
    body = {"posts_percent": "99", "wins_percent": "0", "console_percent": "99.90", "landing_s": 0}
    path, headers = "/api/v1/tenants/alice/service-targets", people.bearer(people.operator_token())

    answer = client.put(path, body, content_type="application/json", headers=headers).json()

    assert answer["console_percent"] == "99.90"
    assert answer["from_month"] == f"{now():%Y-%m}"
    after = AuditEntry.objects.get(action="service.targets").after or {}
    assert after["posts_percent"] == "99.00 %"
