"""The status page: what it says, who sees it, and that it names nobody to a stranger."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.checks.models import Alert, ComponentDay, ComponentIncident, StatusSettings
from apps.checks.report.status_page import percent_up
from apps.checks.selectors.components import Seconds, status_is_public
from apps.checks.states import Component
from apps.checks.tasks import alerts_run
from apps.core.clock import now
from apps.dashboard.pages.status import page as status_module
from apps.users.models import AuditEntry
from apps.users.services import rate_limit_buckets
from tests import factories
from tests.components import DEGRADED, DOWN, announced, incident, recorded
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db

PAGE, JSON = "/status/", "/status.json"
HTML = {"Accept": "text/html"}


@pytest.fixture
def public(pool_redis: str) -> Client:
    """A stranger, of a pool that shows its status to everybody."""
    StatusSettings.objects.create(is_public=True)
    return Client()


def test_status_is_for_people_who_signed_in_by_default(pool_redis: str) -> None:
    person()
    stranger = Client()

    assert stranger.get(PAGE)["Location"] == "/login/?next=/status/"
    assert stranger.get(JSON).status_code == 401
    assert "Status of the pool" not in text_of(stranger.get("/login/"))
    assert "Chain nodes" in text_of(signed_in().get(PAGE))
    assert signed_in().get(JSON).json()["components"][0]["component"] == "CHAIN"


def test_public_page_opens_no_session_and_sets_no_cookie(public: Client) -> None:
    for path in (PAGE, JSON):
        answer = public.get(path)

        assert answer.status_code == 200
        assert not answer.cookies
        assert set(answer["Cache-Control"].split(", ")) == {"public", "max-age=5"}
    assert not public.session.keys()
    page = text_of(public.get(PAGE))
    assert "<script" not in page
    assert "csrf" not in page
    assert "Status of the pool" in text_of(public.get("/login/"))


def test_stranger_is_told_no_name_miner_address_or_internal_text(public: Client) -> None:
    factories.network()
    factories.head(arrived_at=now() - timedelta(hours=3))
    miner = factories.miner(2001, of="alice-secret", fee_debt=10**18, name="mary-secret")
    wallet = factories.wallet(of="alice-secret", label="vault-secret")
    factories.worker("host-secret", of="alice-secret", seen_at=now() - timedelta(days=2))
    Alert.objects.create(
        check_name="nodes_unhealthy",
        title="Every node is healthy",
        severity="warning",
        say="node http://10.0.0.7:1234?token=secret is away",
        count=1,
        began_at=now(),
        since=now(),
    )
    alerts_run()
    assert ComponentIncident.objects.exists(), "something is wrong"

    for path in (PAGE, JSON):
        told = text_of(public.get(path))
        for word in ("secret", "2001", str(wallet.address), miner.address, "10.0.0.7", "nodes_unhealthy"):
            assert word not in told, (path, word)
        assert "No new chain heads" in told


def test_signed_in_tenant_sees_the_same_components_and_no_buttons(pool_redis: str) -> None:
    person()
    operator_person()
    announced(), incident()
    client, acts = signed_in(), ("Announce…", "Withdraw", "Note…", "Who sees this page")

    tenants, operators = text_of(client.get(PAGE)), text_of(signed_in("olga").get(PAGE))

    assert [word for word in acts if word in tenants] == []
    assert [word for word in acts if word in operators] == list(acts)
    for name in ("status-visibility", "maintenance-announce"):
        assert client.post(reverse(name)).status_code == 404


def test_public_page_refuses_who_asks_too_often(public: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit_buckets, "PER_MINUTE", 2)  # room for one more only in half a minute
    codes = [public.get(JSON).status_code for _ in range(3)]

    assert codes == [200, 200, 429]
    refusal = public.get(JSON)
    assert refusal.json()["code"] == "rate_limited"
    assert int(refusal["Retry-After"]) > 0
    assert public.get(PAGE).status_code == 429


def test_public_answer_is_shared_but_never_without_the_database(
    public: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    public.get(PAGE)
    with CaptureQueriesContext(connection) as queries:
        public.get(PAGE)
    assert len(queries) == 1

    def away() -> bool:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(status_module, "status_is_public", away)
    page, body = public.get(PAGE, headers=HTML), public.get(JSON)
    assert (page.status_code, body.status_code) == (503, 503)
    assert "The console is unavailable" in text_of(page)
    assert body.json()["code"] == "unavailable"


def test_hidden_status_is_hidden_at_once(public: Client) -> None:
    public.get(PAGE)
    StatusSettings.objects.update(is_public=False)

    assert public.get(PAGE).status_code == 302
    assert public.get(JSON).status_code == 401


def test_page_says_in_words_how_each_component_is(pool_redis: str) -> None:
    person()
    at = now()
    recorded(at - timedelta(seconds=30), seconds=30, chain=DOWN, blocks=DEGRADED)

    page = text_of(signed_in().get(PAGE))

    assert "Chain nodes: down; Blocks: degraded." in page
    assert "No chain node could be read." in page
    assert "down 30" in page


def test_new_pool_has_bars_without_a_record(pool_redis: str) -> None:
    person()
    recorded(now() - timedelta(seconds=30), seconds=30)

    page = text_of(signed_in().get(PAGE))

    assert "All components are up." in page
    assert page.count('class="t-none" x=') >= 89 * len(Component)
    assert "Chain nodes, the last 90 days: 1 day on record, all of it up" in page


def test_percentage_is_never_rounded_up() -> None:
    assert percent_up(Seconds(up=86_400 * 90 - 1, down=1)) == 99.99
    assert percent_up(Seconds(up=86_400)) == 100
    assert percent_up(Seconds(unknown=60)) == 0
    assert percent_up(Seconds()) is None


def test_page_asks_no_more_for_years_of_rows(pool_redis: str) -> None:
    person()
    client, today = signed_in(), now().date()

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            body = client.get(JSON).json()
        assert all(len(one["days"]) <= 90 for one in body["components"])
        return len(queries)

    asked()
    few = asked()
    ComponentDay.objects.bulk_create(
        ComponentDay(component=one, day=today - timedelta(days=ago), up_s=86_400)
        for one in Component
        for ago in range(400)
    )
    ended = now() - timedelta(hours=1)
    for ago in range(60):
        incident(since=ended - timedelta(days=ago), ended_at=ended)

    assert asked() == few
    assert len(client.get(JSON).json()["incidents"]) == 50


@pytest.mark.parametrize("typed", ["soon", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_a_moment_that_there_is_not_is_refused_where_it_stands(typed: str) -> None:
    operator_person()
    form = {"text": "new disks", "starts_at": typed, "ends_at": typed, "components": ["CHAIN"]}

    refused = signed_in("olga").post(reverse("maintenance-announce"), form)

    assert refused.status_code == 422
    assert text_of(refused).count("enter a date and a time") == 2


def test_operator_announces_notes_and_withdraws_on_the_page(
    pool_redis: str, django_capture_on_commit_callbacks: Any
) -> None:
    operator_person()
    client, at = signed_in("olga"), now()
    begins, ends = (f"{at + timedelta(hours=count):%Y-%m-%dT%H:%M}" for count in (1, 2))
    form = {"text": "new disks", "starts_at": begins, "ends_at": ends, "components": ["CHAIN", "SEALING"]}
    row = incident(ended_at=None)

    refused = client.post(reverse("maintenance-announce"), {**form, "starts_at": "soon"})
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("maintenance-announce"), form)
        client.post(reverse("incident-note", args=[row.uuid]), {"note": "a node is replaced"})

    assert "enter a date and a time" in text_of(refused)
    assert refused.status_code == 422
    page = text_of(client.get("/"))
    assert "Chain nodes: a node is replaced" in page
    assert "(Chain nodes, Sealing): new disks" in page
    key = json.loads(client.get(JSON).content)["maintenance"][0]["id"]
    assert "Announced from" in text_of(client.get(reverse("maintenance-end", args=[key])))
    client.post(reverse("maintenance-end", args=[key]))
    client.post(reverse("status-visibility"), {"is_public": "1"})
    assert client.get(JSON).json()["maintenance"] == []
    assert status_is_public()
    actions = AuditEntry.objects.filter(actor__contains="olga").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "status.maintenance",
        "status.note",
        "status.maintenance.end",
        "status.visibility",
    ]


def test_texts_of_the_operator_are_escaped(public: Client) -> None:
    announced(text="<script>alert(1)</script>")
    incident(note="<b>bold</b>")

    page: Any = text_of(public.get(PAGE))

    assert "<script" not in page
    assert "<b>bold" not in page
