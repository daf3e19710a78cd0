"""Pages that are whole in the scope: Today, Hosts, Storage, Alerts, Checks, Gas, and the bell everywhere."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.checks.models import Alert
from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.messages.selectors.spend import spend_visible
from apps.miners.selectors.scope import viewer_in
from apps.sectors.models import Store, Worker
from tests import factories, people
from tests.demo_data import busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, principal
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]
PAGES = ("today", "hosts", "stores", "alerts", "checks", "gas")
SCOPES = ({"tenant": "bob"}, {"miner": "f02003"}, {"tenant": "bob", "miner": "f02003"})


@pytest.fixture
def two(db: None) -> tuple[Any, Any]:
    """Two tenants; bob has a second miner, whose sectors are faulty."""
    operator_person()
    found = busy_pool(), busy_pool("bob", key=2, actor_id=2002)
    miner = factories.miner(2003, of="bob", name="bob-second", faulty_sectors=2)
    factories.deadline(miner, 1, live=2, faulty=2)
    return found


def main_of(shown: str) -> str:
    """Return what the page shows, without its frame."""
    return html.unescape(shown[shown.index("<main") : shown.index("</main>")])


def opened(name: str, who: str = "olga", **scope: str) -> Any:
    """Open a page in a scope."""
    return signed_in(who).get(reverse(name), scope)


def alert(of: str | None, say: str, **facts: Any) -> Alert:
    """Write an open alert of a tenant, or of the pool."""
    row = {"title": "x", "severity": "critical", "count": 1, "began_at": now(), "since": now()}
    tenant = None if of is None else people.tenant(of)
    return Alert.objects.create(tenant=tenant, say=say, **row | facts)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_nothing_of_others_and_says_its_scope(
    two: Any, name: str, scope: dict[str, str]
) -> None:
    answer = opened(name, **scope)

    shown = main_of(text_of(answer))
    assert answer.status_code == 200
    assert "alice" not in shown
    assert "f02001" not in shown
    assert "Only " in shown
    assert ">Show everything</a>" in shown
    assert "not used here" not in text_of(answer)
    assert "alice" in main_of(text_of(opened(name))) or name in ("alerts", "gas")


@pytest.mark.parametrize("name", PAGES)
def test_a_miner_leaves_out_the_tenants_other_miner(two: Any, name: str) -> None:
    shown = main_of(text_of(opened(name, miner="f02003")))

    assert "f02002" not in re.sub(r"scope[^\"]*\"", "", shown)
    assert "bob-main" not in shown


@pytest.mark.parametrize("name", PAGES)
def test_a_scope_costs_two_queries_more_at_most(two: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, here, shared = signed_in("olga"), reverse(name), SharedReports()
    monkeypatch.setattr(REPORT_NOW, shared)

    def queries(**scope: str) -> int:
        browser.get(here, scope)  # now its checks are evaluated
        with CaptureQueriesContext(connection) as caught:
            browser.get(here, scope)
        return len(caught)

    whole = queries()
    assert queries(tenant="bob") <= whole + 2
    assert queries(miner="f02003") <= whole + 2


@pytest.mark.parametrize("name", PAGES)
def test_a_page_with_nothing_in_its_scope_leads_back(two: Any, name: str) -> None:
    people.tenant("carol")

    shown = main_of(text_of(opened(name, tenant="carol")))

    assert "bob" not in shown
    assert f'href="{reverse(name)}">Show everything</a>' in shown
    if name in ("today", "hosts", "stores"):
        assert "Nothing here in this scope" in shown
        assert "No host yet" not in shown


@pytest.mark.parametrize("name", PAGES)
def test_somebody_of_a_tenant_sees_nothing_of_anothers_scope(two: Any, name: str) -> None:
    person("bill", of="bob")

    shown = main_of(text_of(opened(name, "bill", tenant="alice")))

    assert "alice" not in re.sub(r'(tenant( |=|%3D)|name="tenant" value=")alice', "", shown)
    assert "f02001" not in shown
    assert opened(name, "bill", miner="f02001").status_code == 404
    whole = main_of(text_of(opened(name, "bill", tenant="bob")))
    assert "Show everything" not in whole


def test_the_bell_counts_what_the_pages_of_the_scope_show(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REPORT_NOW, SharedReports())
    whole, of_bob, of_miner = (
        opened("today", **scope).context for scope in ({}, {"tenant": "bob"}, {"miner": "f02003"})
    )

    counts = [one["bell"].count for one in (whole, of_bob, of_miner)]
    assert counts[0] > counts[1] > counts[2] > 0
    for context in (of_bob, of_miner):
        assert context["bell"].count == len(context["todos"]) + len(context["others"])
    for name in ("chain", "sectors", "checks"):
        assert opened(name, tenant="bob").context["bell"].count == counts[1], name
    assert "alice" not in str([one.say for one in of_bob["bell"].todos])


def test_what_is_pushed_to_a_page_in_a_scope_is_of_it(two: Any) -> None:
    rows = {("head", "1000"), ("checks", "pool"), ("process", "web")}
    for table, kind in ((Worker, "worker"), (Store, "store")):
        rows |= {(kind, str(row.uuid)) for row in table.objects.all()}
    viewer = principal("pool", is_operator=True)
    for page in ("today:tenant=bob", "hosts:tenant=bob", "stores:tenant=bob", "gas", "alerts", "checks"):
        frame = fragments_render(rows, viewer=viewer, page=page, scope="tenant=bob")

        assert frame
        assert "alice" not in frame, page
    whole = fragments_render(rows, viewer=viewer, page="today")
    assert "alice" in whole
    assert "scope=tenant%3Dbob" in text_of(opened("gas", tenant="bob"))


def test_a_page_of_a_miner_that_has_moved_away_is_pushed_nothing(two: Any) -> None:
    rows = {("head", "1000"), ("checks", "pool")}
    viewer = principal("bob")

    assert fragments_render(rows, viewer=viewer, page="checks", scope="miner=f02001") == ""


def test_alerts_of_a_tenant_and_of_a_miner(two: Any) -> None:
    alert(None, "pool is ill", check_name="hosts_away")
    alert("alice", "alice is ill", check_name="sectors_faulty")
    alert("bob", "sectors of bob are faulty", check_name="sectors_faulty")
    alert("bob", "hosts of bob are away", check_name="no_such_check")
    ended = {"ended_at": now(), "check_name": "fee_debt"}
    alert("bob", "a debt of f02002", object_names=["f02002"], **ended)
    alert("bob", "a debt of f02003", object_names=["f02003"], **ended)

    def says(name: str, **scope: str) -> set[str]:
        shown = main_of(text_of(opened(name, **scope)))
        return {row.say for row in Alert.objects.all() if row.say in shown}

    bob = {row.say for row in Alert.objects.filter(tenant__name="bob")}
    assert says("alerts") == {"pool is ill"}
    assert says("alerts", tenant="bob") == bob
    assert says("alerts", miner="f02003") == {"sectors of bob are faulty", "a debt of f02003"}
    assert says("alerts-history", tenant="bob") == bob
    assert says("alerts-history", miner="f02003") == {"a debt of f02003"}
    assert "Channels" not in main_of(text_of(opened("alerts", tenant="bob")))


def test_checks_say_what_the_scope_cannot_narrow(two: Any) -> None:
    of_bob, of_miner = opened("checks", tenant="bob"), opened("checks", miner="f02003")

    reach = {row.name: row.reach for row in of_miner.context["rows"]}
    assert reach["chain_stalled"] == "of the whole pool"
    assert reach["hosts_away"] == "of tenant bob"
    assert reach["sectors_faulty"] == ""
    assert "signers_away" not in reach
    assert "signers_away" in {row.name for row in of_bob.context["rows"]}
    assert "processes_down" not in reach
    assert "choose it to see their checks" in text_of(of_miner)


def test_gas_of_the_scope_is_its_own_to_the_atto(two: Any) -> None:
    operator = principal("pool", is_operator=True)

    def costs(**scope: str) -> int:
        return sum(row["sum"].cost for row in opened("gas", days="all", **scope).context["spend"])

    def spent(**scope: str) -> int:
        return sum(int(row.cost) for row in spend_visible(viewer_in(operator, scope)))

    whole, of_bob, of_miner = costs(), costs(tenant="bob"), costs(miner="f02002")
    assert (whole, of_bob, of_miner) == (spent(), spent(tenant="bob"), spent(miner="f02002"))
    assert whole > of_bob >= of_miner > 0
    lines = text_of(signed_in("olga").get(reverse("gas-csv"), {"tenant": "bob", "days": "all"}))
    assert "alice" not in lines
    assert "bob" in lines


def test_rest_lists_are_narrowed_by_the_same_names(two: Any, client: Any) -> None:
    headers = people.bearer(people.operator_token())

    def tenants(name: str, **query: str) -> set[str]:
        answer = client.get(f"/api/v1/{name}", query, headers=headers)
        assert answer.status_code == 200, answer.content
        return {row["tenant"] for row in answer.json()["results"]}

    for name in ("workers", "stores"):
        assert tenants(name) == {"alice", "bob"}
        assert tenants(name, tenant="bob") == tenants(name, miner="f02003") == {"bob"}
    spent = {
        one: client.get("/api/v1/gas/spend", {"by": "tenant", "tenant": one}, headers=headers).json()
        for one in ("alice", "bob")
    }
    assert all([row["tenant"] for row in found["results"]] == [one] for one, found in spent.items())
    checks = client.get("/api/v1/checks", {"miner": "f02003"}, headers=headers).json()["checks"]
    assert "processes_down" not in {row["name"] for row in checks}
    assert client.get("/api/v1/gas", {"tenant": "bob"}, headers=headers).status_code == 200
    refused = client.get("/api/v1/stores", {"miner": "f09999"}, headers=headers)
    assert refused.status_code in (404, 422)
    assert client.get("/api/v1/alerts", {"miner": "f02003"}, headers=headers).status_code == 200
