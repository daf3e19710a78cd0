"""Every page answers whoever is signed in, shows tenants their own, and asks a fixed number of questions."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.checks.report.evaluate import evaluate
from apps.checks.selectors.data import CheckData
from apps.core.formatting import NARROW
from apps.proving.models import Partition
from apps.users.rules.principals import SYSTEM
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.demo_data import FORMS, LISTS, addresses, busy_pool, plain_addresses
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db

MOST_QUERIES = {
    "today": 29,
    "miners": 12,  # one of them for the views that the person saved, as on each list
    "blocks": 16,  # three of them for who is not drawn, and when the next win is to be expected
    "proving": 18,  # one of them for the settings in force
    "sectors": 17,
    "sealing": 18,
    "planner": 20,
    "messages": 14,  # one of them for what is rare, which the checks read, too, one for the chips
    "messages-failures": 14,
    "senders": 18,  # two of them for gas: the viewer's, and what each address pays in a day
    "gas": 21,  # one of them for the gas of each method
    "money": 25,  # six for what is of no miner, tenants' charges and multisig withdrawals; three for deals
    "charges": 11,
    "charges-tenant": 14,
    "statement": 13,
    "sender": 20,  # three of them for the wallets in use, their pace, and its own balance
    "wallets": 14,  # one of them for views that a person saved, one for the chips
    "hosts": 18,  # states, filters and groups are counted, and a page is read
    "stores": 16,  # two of them for the checks of their files, two for the room in all
    "roles": 14,  # the verdict on roles nobody holds, pages of hosts and miners
    "miner-roles": 20,  # the checks of its miner, too, and the groups of hosts
    "gateway": 17,  # signers and provers are counted
    "people": 10,  # one of them for views that a person saved
    "tokens": 9,  # one of them counts the valid ones
    "audit": 10,  # one of them for views that a person saved, one for actors to choose from
    "status": 11,  # four of them for components, their days, incidents and maintenance
    "account": 12,
    "miner": 27,  # ten of them for its own checks
    "sector-active": 23,  # seven of them for its terminations, extensions, runs, moves and files
    "message-flying": 23,  # seven of them for its limits and whether it is stuck
}
"""What a page may ask the database, session and person included, while what the checks found is shared."""
BELL = 1
"""On each page besides: who has which of the alerts that the bell lists."""
MOST_OF_CHECKS = 60
"""What one evaluation of all checks may ask, however many objects there are."""


@pytest.mark.parametrize("page", [*LISTS, *FORMS])
def test_an_empty_page_answers_everyone_who_is_signed_in(page):
    operator_person()
    person()

    for name in ("olga", "ann"):
        answer = signed_in(name).get(plain_addresses()[page])
        assert answer.status_code == 200
        assert "<h1>" in text_of(answer)


def test_a_tenant_sees_its_own_and_the_operator_all():
    busy_pool("alice")
    busy_pool("bob", key=50, actor_id=3001)
    person()
    operator_person()

    mine, all_of_them = (text_of(signed_in(name).get("/miners/")) for name in ("ann", "olga"))

    assert "f02001" in mine
    assert "f03001" not in mine
    assert "f02001" in all_of_them
    assert "f03001" in all_of_them


def test_processes_are_the_operators_business():
    operator_person()
    person()

    assert "f-today-processes" in text_of(signed_in("olga").get("/"))
    assert "f-today-processes" not in text_of(signed_in("ann").get("/"))


def test_a_page_asks_the_database_a_fixed_number_of_times(pool_redis, monkeypatch):
    monkeypatch.setattr("apps.checks.report.cache.SHARED_S", 600)
    monkeypatch.setattr("apps.checks.report.cache.changes_number", lambda: "1")
    monkeypatch.setattr("apps.checks.selectors.status_banners.SHARED_S", 600)
    # On a slow machine what is in flight would count as stuck, and signers as gone, before the test ends.
    monkeypatch.setattr("apps.messages.selectors.stuck.LATE_EPOCHS", 10_000)
    monkeypatch.setattr("apps.gateway.selectors.connections.ALIVE_S", timedelta(hours=1))
    monkeypatch.setattr("apps.wallets.models.SERVED_S", timedelta(hours=1))
    pool = busy_pool()
    operator_person()
    client = signed_in("olga")
    pages = addresses(pool)

    def asked(page: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(pages[page]).status_code == 200
        return len(queries)

    def evaluated() -> int:
        with CaptureQueriesContext(connection) as queries:
            evaluate(CheckData(SYSTEM))
        return len(queries)

    for page in MOST_QUERIES:
        asked(page)
    checks_before = evaluated()
    before = {page: asked(page) for page in MOST_QUERIES}
    busy_pool("bob", key=50, actor_id=3001)
    for _ in range(30):
        factories.sector(pool.miner, state=SectorState.TICKET_ASSIGNED, held_by=pool.sealer)
        factories.message(from_addr=pool.wallet.address)
        factories.worker()
        factories.wallet()
    factories.miner()
    asked("blocks")  # the new miner's luck is kept from now on
    after = {page: asked(page) for page in MOST_QUERIES}

    assert checks_before <= evaluated() <= MOST_OF_CHECKS
    assert {page: count for page, count in before.items() if count > MOST_QUERIES[page] + BELL} == {}
    assert {page: (before[page], after[page]) for page in after if after[page] > before[page] + 1} == {}


def test_a_sectors_page_tells_its_way():
    pool = busy_pool()
    operator_person()

    text = text_of(signed_in("olga").get(addresses(pool)["sector-active"]))

    for words in (
        "Active.",
        "Piece added",
        "Pre-commit landed",
        "Pledged",
        "STACKED_DRG_2KIB_V1_1",
        "bagboea4b5a",
    ):
        assert words in text
    assert f"520{NARROW}000" in text


@pytest.mark.parametrize(
    ("recovering", "word"), [([], "faulty"), ([1], "recovering"), (None, "awaiting first proof")]
)
def test_a_sealed_sector_that_is_not_active_says_why(recovering, word):
    pool = busy_pool()
    if recovering is None:
        Partition.objects.update(faulty=[])
    else:
        Partition.objects.update(recovering=recovering)
    operator_person()

    text = text_of(signed_in("olga").get(f"/sectors/{pool.faulty.uuid}/"))

    head = re.search(r'id="f-sector-head".*?</h1>(.*?)</div>', text, re.DOTALL)
    assert head is not None
    assert word in head.group(1)


def test_a_waiting_batch_says_what_it_waits_for():
    factories.head(1000)
    miner = factories.miner(2001)
    row = factories.sector(miner, state=SectorState.PERSISTED, ready_height=1000)
    operator_person()

    text = text_of(signed_in("olga").get(f"/sectors/{row.uuid}/"))

    assert "1 sector of at most 256 waiting to share a message" in text


def test_the_doctor_names_the_reason_and_what_happens_by_itself():
    pool = busy_pool()
    operator_person()

    text = text_of(signed_in("olga").get(addresses(pool)["message-stuck"]))

    assert "The sender&#x27;s balance does not cover gas and value: needs more than it has." in text
    assert "retries automatically with back-off, and as soon as the balance rises" in text


def test_an_unknown_address_has_a_page_of_its_own():
    answer = Client().get("/nowhere/")

    assert answer.status_code == 404
    assert "Page not found" in text_of(answer)


def test_signed_in_people_get_the_404_page_inside_the_frame():
    person()

    answer = signed_in().get("/miners/f0999999/")

    assert answer.status_code == 404
    assert "Page not found" in text_of(answer)
    assert f'href="{reverse("miners")}"' in text_of(answer)


def test_the_style_sheets_have_rules_for_print():
    styles = Path(settings.BASE_DIR, "static/css/base.css").read_text()

    assert re.search(r"@media print \{.*\.rail, .*display: none", styles, re.DOTALL)


def test_no_template_styles_inline_or_marks_text_as_safe():
    for template in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        text = template.read_text()
        assert "style=" not in text, template
        assert "|safe" not in text, template
        assert "autoescape off" not in text, template


def test_a_name_cannot_bring_markup():
    factories.head()
    factories.worker("<b>bold</b>")
    factories.message("<script>alert(1)</script>/x", error="<i>slanted</i>", state="FAILED")
    operator_person()
    client = signed_in("olga")

    for path in ("/", "/hosts/", "/messages/"):
        text = text_of(client.get(path))
        for markup in ("<b>bold", "<script>alert", "<i>slanted"):
            assert markup not in text
