"""Charges on the pages and over REST: terms, statements, payments, CSV, and whose they are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.blocks.models import BillingTerms, Charge, DayPrice, Statement
from apps.core.clock import now
from apps.users.models import AuditEntry, Tenant
from poolsite.filecoin.amounts import FIL
from tests import factories, people
from tests.audit_rules import CheckedLines
from tests.demo_data import Pool, busy_pool
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool() -> Iterator[Pool]:
    people.operator_person()
    people.person("ann")
    people.person("bill", of="bob")
    with CheckedLines():
        yield busy_pool()


def rest(method: str, path: str, token: str = "", body: Any = None, **headers: str) -> Any:
    token = token or people.operator_token()
    values: dict[str, Any] = {} if body is None else {"data": body, "content_type": "application/json"}
    sent = {**people.bearer(token), **headers}
    return getattr(Client(), method)(f"/api/v1/{path}", **values, headers=sent)


def last_action() -> str:
    return AuditEntry.objects.order_by("-pk").values_list("action", flat=True)[0]


def test_a_statement_says_how_each_line_was_computed(pool: Pool) -> None:
    text = " ".join(text_of(signed_in("ann").get(reverse("statement", args=[pool.statement.uuid]))).split())

    for part in (
        "Statement of alice for 2026-02",
        "12.5 % of 4.0000 FIL of rewards",
        "reward of 1 block not known: not in it",
        "1 TiB-days at 0.01 FIL",
        "power unknown on 1 day: not charged",
        "31 of 28 days at 3 FIL a month",
        "outage of alice",
        "3.5100",
    ):
        assert part in text, part
    assert "Mark as paid" not in text, "that is the operator's"


def test_the_operator_sees_what_each_tenant_owes(pool: Pool) -> None:
    text = text_of(signed_in("olga").get(reverse("charges")))

    assert "12.5 % of rewards, 0.01 FIL per TiB of QA power and day, 3 FIL a month" in text
    assert "3.5100" in text
    assert (
        reverse("charges-tenant", args=[pool.miner.tenant.uuid])
        in signed_in("olga").get(reverse("charges")).content.decode()
    )


def test_what_a_deleted_tenant_owes_stays_on_the_page(pool: Pool) -> None:
    alice = pool.statement.tenant
    Tenant.objects.filter(pk=alice.pk).update(deleted_at=now(), name="alice~1")
    people.tenant("carol")
    Tenant.objects.filter(name="carol").update(deleted_at=now())
    olga, here = signed_in("olga"), reverse("charges-tenant", args=[alice.uuid])

    listed = text_of(olga.get(reverse("charges")))

    assert "alice~1" in listed
    assert "carol" not in listed
    assert "2026-02" in text_of(olga.get(here))
    assert olga.get(reverse("charges-unclosed", args=[alice.uuid])).status_code == 200
    assert olga.get(f"{reverse('charges-csv')}?tenant={alice.uuid}").status_code == 200
    assert signed_in("bill").get(here).status_code == 404
    assert rest("get", "tenants/alice~1/terms").json()["count"] == 1


def test_a_tenant_without_terms_is_told_that_it_is_charged_nothing(pool: Pool) -> None:
    text = " ".join(text_of(signed_in("bill").get(reverse("charges"))).split())

    assert "bob is charged nothing." in text
    assert "No terms: this tenant is charged nothing." in text
    assert "No statements yet" in text


def test_the_operator_sets_terms_on_the_page(pool: Pool) -> None:
    client, tenant = signed_in("olga"), pool.miner.tenant
    address, tomorrow = reverse("charges-terms", args=[tenant.uuid]), now().date() + timedelta(days=1)
    assert 'value="12.5"' in client.get(address).content.decode(), "it begins with those that hold"

    wrong = {"from_day": "soon", "reward_percent": "10"}
    assert client.post(address, wrong).status_code == 422
    for percent in ("1e1", "100.5", "0.00001"):
        assert client.post(address, {"from_day": tomorrow, "reward_percent": percent}).status_code == 422
    past = client.post(address, {"from_day": "2020-01-01", "reward_percent": "10"})
    assert "the days before are settled" in text_of(past)
    assert BillingTerms.objects.count() == 1

    answer = client.post(address, {"from_day": tomorrow, "reward_percent": "7.25", "monthly_sum": "0.5"})
    assert (answer.status_code, last_action()) == (302, "billing.terms")
    row = BillingTerms.objects.get(from_day=tomorrow)
    assert (str(row.reward_percent), row.power_price, row.monthly_sum) == ("7.2500", 0, FIL // 2)
    assert row.actor == "olga"


def test_the_operator_corrects_on_the_page(pool: Pool) -> None:
    client, tenant = signed_in("olga"), pool.miner.tenant
    address = reverse("charges-correction", args=[tenant.uuid])
    assert client.post(address, {"direction": "credit", "amount": "0", "note": "x"}).status_code == 422

    answer = client.post(address, {"direction": "credit", "amount": "1.5", "note": "outage"})

    assert (answer.status_code, last_action()) == (302, "billing.correct")
    row = Charge.objects.get(note="outage")
    assert (row.amount, row.tenant, row.statement) == (-15 * FIL // 10, tenant, None)
    unclosed = text_of(client.get(reverse("charges-unclosed", args=[tenant.uuid])))
    assert "outage" in unclosed
    assert "-1.4900" in unclosed


def test_a_double_click_corrects_once(pool: Pool) -> None:
    client, address = signed_in("olga"), reverse("charges-correction", args=[pool.miner.tenant.uuid])
    before, key = Charge.objects.count(), page_key(client.get(address))
    sent = {"direction": "charge", "amount": "2", "note": "storage", "key": key}

    assert [client.post(address, sent).status_code for _ in range(2)] == [302, 302]
    assert Charge.objects.count() == before + 1
    other = client.post(address, {**sent, "amount": "3"})
    assert other.status_code == 422
    assert "this key was already used for a different correction" in text_of(other)
    assert page_key(client.get(address)) != key
    client.post(address, {**sent, "key": "?"})
    assert Charge.objects.count() == before + 2, "what is no key is none"


def page_key(answer: Any) -> str:
    return str(answer.content.decode().split('name="key" value="')[1].split('"')[0])


def test_a_statement_is_marked_as_paid_and_as_open_again(pool: Pool) -> None:
    client, key = signed_in("olga"), pool.statement.uuid

    assert client.post(reverse("statement-act", args=[key, "pay"]), {"payment": ""}).status_code == 422
    client.post(reverse("statement-act", args=[key, "pay"]), {"payment": "bafy-paid"})
    assert last_action() == "statement.pay"
    assert "bafy-paid" in text_of(client.get(reverse("statement", args=[key])))
    assert "bafy-paid" in text_of(signed_in("ann").get(reverse("charges")))

    client.post(reverse("statement-act", args=[key, "unpay"]))
    assert last_action() == "statement.unpay"
    assert Statement.objects.get().paid_at is None


@pytest.mark.parametrize("name", ["ann", "bill"])
def test_a_tenants_people_change_nothing(pool: Pool, name: str) -> None:
    client, tenant, key = signed_in(name), pool.miner.tenant.uuid, pool.statement.uuid

    for path in ("charges-terms", "charges-correction"):
        assert client.get(reverse(path, args=[tenant])).status_code == 404
        assert client.post(reverse(path, args=[tenant])).status_code == 404
    for op in ("pay", "unpay", "other"):
        answer = client.post(reverse("statement-act", args=[key, op]), {"payment": "x"})
        assert answer.status_code == 404
    assert Statement.objects.get().paid_at is None


def test_another_tenant_sees_no_charge(pool: Pool) -> None:
    client, token = signed_in("bill"), people.token("read", of="bob")

    for query in (f"statement={pool.statement.uuid}", f"tenant={pool.miner.tenant.uuid}", "statement=x"):
        assert client.get(f"{reverse('charges-csv')}?{query}").status_code == 404
    assert len(lines_of(client.get(reverse("charges-csv")))) == 0
    for path in ("charges", "statements", "charges?tenant=alice", "statements?tenant=alice"):
        assert rest("get", path, token).json()["results"] == []
    for path in (f"statements/{pool.statement.uuid}", "tenants/alice/terms"):
        assert rest("get", path, token).status_code == 404


def lines_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode())))


def test_the_charges_come_as_csv_in_attofil(pool: Pool) -> None:
    client = signed_in("ann")

    rows = lines_of(client.get(f"{reverse('charges-csv')}?statement={pool.statement.uuid}"))
    assert sum(int(row["amount_atto"]) for row in rows) == pool.statement.total
    [rewards] = [row for row in rows if row["kind"] == "REWARDS"]
    assert (rewards["miner"], rewards["basis"], rewards["reward_percent"]) == ("f02001", str(4 * FIL), "12.5")
    assert [row["basis"] for row in rows if row["kind"] == "POWER"] == ["", str(1 << 40)]
    assert len(lines_of(client.get(f"{reverse('charges-csv')}?tenant={pool.miner.tenant.uuid}"))) == 6


def test_the_charges_as_csv_have_names_and_fil(pool: Pool) -> None:
    answer = signed_in("ann").get(reverse("charges-csv"), {"statement": str(pool.statement.uuid)})
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    by_kind = {row["kind"]: row for row in rows}

    assert by_kind["REWARDS"]["miner_name"] == "alice-main"
    assert (by_kind["REWARDS"]["basis_fil"], by_kind["REWARDS"]["amount_fil"]) == ("4", "0.5")
    assert by_kind["MONTHLY"]["miner_name"] == ""
    assert sum(Decimal(row["amount_fil"]) for row in rows) * FIL == pool.statement.total


def test_a_statement_to_print_has_all_lines_the_month_and_its_worth(pool: Pool, settings: Any) -> None:
    settings.FIL_PRICES, month = "prices.csv", pool.statement.month
    url = reverse("statement-print", args=[pool.statement.uuid])
    assert f"No price in USD for: {month.isoformat()}" in text_of(signed_in("ann").get(url))
    for day in (month, month + timedelta(days=1)):
        DayPrice.objects.create(day=day, currency="USD", price=10)
    factories.spend(pool.wallet.address, day=month, to="f02001", cost=FIL // 2)

    page = text_of(signed_in("ann").get(url))

    for part in ("12.5 % of 4.0000 FIL of rewards", "3.5100", "35.10 USD", "-40.10 USD", "alice-main"):
        assert part in page, part
    assert "data-print" in page
    assert "Mark as paid" not in text_of(signed_in("olga").get(url)), "it is to be printed"
    assert signed_in("bill").get(url).status_code == 404


def test_rest_has_charges_and_statements(pool: Pool) -> None:
    token = people.token("read")

    found = rest("get", "charges?month=2026-02&miner=t02001", token).json()
    assert [row["kind"] for row in found["results"]] == ["POWER", "REWARDS", "POWER"]
    assert found["results"][1]["reward_percent"] == "12.5"
    assert {row["statement"] for row in found["results"]} == {str(pool.statement.uuid)}
    assert found["results"][0]["basis"] is None
    [row] = rest("get", "statements?paid=false&month=2026-02", token).json()["results"]
    assert (row["month"], row["total"], row["tenant"]) == ("2026-02", str(351 * 10**16), "alice")
    assert rest("get", f"statements/{row['uuid']}", token).json() == row
    assert rest("get", "statements?paid=true", token).json()["results"] == []
    for path, field in (
        ("charges?month=2026", "month"),
        ("charges?month=9999-12", "month"),
        ("charges?miner=alice", "miner"),
        ("statements?paid=maybe", "paid"),
    ):
        answer = rest("get", path, token)
        assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize("query", ["month=9999-12", "month=2026", "miner=zzz", "miner=f", "miner=%00"])
def test_rest_refuses_a_filter_of_charges_that_cannot_be_read(db: None, query: str) -> None:
    answer = rest("get", f"charges?{query}")

    assert (answer.status_code, answer.json()["field"]) == (400, query.partition("=")[0])


def test_rest_sets_terms_once_for_a_key(pool: Pool) -> None:
    token, day = people.operator_token(), now().date().isoformat()
    body = {"from_day": day, "reward_percent": 12.25, "power_price": "7"}
    key = {"Idempotency-Key": "k1"}

    answers = [rest("post", "tenants/bob/terms", token, body, **key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    [row] = rest("get", "tenants/bob/terms").json()["results"]
    assert (row["from_day"], row["reward_percent"]) == (day, "12.25")
    assert (row["power_price"], row["monthly_sum"]) == ("7", "0")
    assert last_action() == "billing.terms"
    for wrong in ({"reward_percent": "12.00001"}, {"reward_percent": 101}, {"from_day": "2020-01-01"}):
        answer = rest("post", "tenants/bob/terms", body={**body, **wrong})
        assert (answer.status_code, answer.json()["field"]) == (400, next(iter(wrong)))


def test_rest_corrects_and_marks_as_paid(pool: Pool) -> None:
    made = rest("post", "tenants/alice/corrections", body={"amount": "-5", "note": "outage"})
    assert (made.status_code, made.json()["amount"], last_action()) == (201, "-5", "billing.correct")

    key = {"Idempotency-Key": "c1"}
    before = Charge.objects.count()
    for _ in range(2):
        assert rest("post", "tenants/alice/corrections", body={"amount": "7", "note": "x"}, **key).json()
    assert Charge.objects.count() == before + 1, "whichever token sends it"

    path = f"statements/{pool.statement.uuid}/payment"
    for _ in range(2):
        assert rest("put", path, body={"payment": "bafy"}).json()["payment"] == "bafy"
    assert last_action() == "statement.pay"
    assert rest("put", path, body={"payment": "other"}).status_code == 409
    assert rest("delete", path).json()["paid_at"] is None
    assert last_action() == "statement.unpay"


@pytest.mark.parametrize("perm", ["read", "admin"])
def test_rest_lets_no_tenant_change_charges(pool: Pool, perm: str) -> None:
    token = people.token(perm)

    for method, path in (
        ("post", "tenants/alice/terms"),
        ("post", "tenants/alice/corrections"),
        ("put", f"statements/{pool.statement.uuid}/payment"),
        ("delete", f"statements/{pool.statement.uuid}/payment"),
    ):
        assert rest(method, path, token, {}).status_code == 403, path


def test_statements_of_all_tenants_are_listed_by_whether_they_are_paid(pool: Pool) -> None:
    bob = people.tenant("bob")
    Statement.objects.bulk_create(
        Statement(tenant=bob, month=date(2000 + at // 12, 1 + at % 12, 1), total=at, closed_at=now())
        for at in range(60)
    )
    Statement.objects.filter(tenant=bob, month__year=2001).update(paid_at=now(), payment="by wire")
    here, olga = reverse("statements"), signed_in("olga")

    def months(query: str, client: Client = olga) -> list[str]:
        return re.findall(r">(20\d\d-\d\d)</a>", client.get(here + query).content.decode())

    first = olga.get(here).content.decode()
    assert months("")[:2] == ["2026-02", "2004-12"]
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    assert months(older)[-1] == "2000-01"
    assert months("?state=paid&tenant=bob") == [f"2001-{month:02d}" for month in range(12, 0, -1)]
    assert months("?month=2026-02") == ["2026-02"]
    assert months("", signed_in("ann")) == ["2026-02"]
    assert "by wire" in olga.get("/money/statements.csv?state=paid").getvalue().decode()
    assert olga.get(f"{here}?month=2026").status_code == 422
    of_bob = olga.get(reverse("charges-tenant", args=[bob.uuid])).content.decode()
    assert f'href="{here}?tenant=bob"' in of_bob
    assert len(re.findall(r">20\d\d-\d\d</a>", of_bob)) == 12
    assert [row["month"] for row in rest("get", "statements?state=open&tenant=alice").json()["results"]] == [
        "2026-02"
    ]


def test_charges_of_some_days_come_as_csv(pool: Pool) -> None:
    client, whole = signed_in("olga"), lines_of(signed_in("olga").get(reverse("charges-csv")))
    days = sorted({row["day"] for row in whole})

    some = lines_of(client.get(reverse("charges-csv"), {"since": days[1], "until": days[1]}))

    assert len(days) > 1
    assert {row["day"] for row in some} == {days[1]}
    page = text_of(client.get(reverse("charges")))
    assert f'action="{reverse("charges-csv")}"' in page
