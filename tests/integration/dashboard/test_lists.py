"""What all lists share: empty filters, forged cursors, the same list as CSV."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.dashboard.list_page import LISTS
from apps.dashboard.pagination import ROWS
from apps.messages.models import Message, Sender
from apps.messages.states import Wait
from tests import factories, people
from tests.demo_data import busy_pool
from tests.mk20 import sized
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]


def test_an_empty_filter_says_how_to_get_out(ann):
    factories.head()

    assert "No matching sectors" in text_of(signed_in().get("/sectors/?state=paused"))
    assert "Show all" in text_of(signed_in().get("/messages/?q=none"))


@pytest.mark.parametrize("after", ["x", "1:2:3", "\u00fc"])
def test_a_forged_cursor_shows_the_first_page(ann, after):
    busy_pool()

    for path in ("/sectors/", "/messages/"):
        assert signed_in().get(path, {"cursor": after}).status_code == 200


def test_a_cursor_of_another_list_shows_the_first_page():
    operator_person()
    for n in range(ROWS + 1):
        factories.message(f"m{n}")
    browser = signed_in("olga")
    found = re.search(r'rel="next" href="([^"]+)"', text_of(browser.get("/messages/")))
    assert found is not None

    for path in ("/sectors/", "/pieces/", "/hosts/", "/tokens/", "/audit/", "/tenants/", "/money/charges/"):
        assert browser.get(path + found[1]).status_code == 200, path


def test_sender_that_needs_somebody_stands_first_of_all_pages():
    operator_person()
    for n in range(ROWS + 5):
        factories.sender(factories.bls(n))
    last = Sender.objects.order_by("pk").last()
    assert last is not None
    Sender.objects.filter(pk=last.pk).update(gap_nonce=4)
    browser = signed_in("olga")

    first = text_of(browser.get("/senders/"))
    found = re.search(r'rel="next" href="([^"]+)"', first)
    assert found is not None
    second = text_of(browser.get("/senders/" + found[1]))

    shown = re.findall(r'class="sub id" title="(\w+)"', first + second)
    assert shown[0] == last.address
    assert sorted(shown) == sorted(Sender.objects.values_list("address", flat=True))


@pytest.mark.parametrize(("path", "rows"), [("/sectors.csv", 9), ("/messages.csv", 6)])
def test_a_list_can_be_taken_along(ann, path, rows):
    busy_pool()
    busy_pool("bob", key=50, actor_id=3001)

    answer = signed_in().get(path)

    lines = list(csv.DictReader(io.StringIO(text_of(answer))))
    assert answer.headers["Content-Type"] == "text/csv"
    assert len(lines) == rows
    assert all(line["id"] for line in lines)


def test_each_field_above_a_list_has_a_label():
    labels = {
        (one.name, place): one.filters.base_filters[place].label
        for one in LISTS.values()
        if one.filters is not None
        for place in one.places
    }

    assert labels["deals", "client"] == "Client"
    assert all(labels.values()), labels


@pytest.mark.parametrize("name", ["deals", "hosts", "pieces", "tokens"])
def test_a_csv_has_the_rows_of_its_page_and_no_others(ann, name):
    for of, key in (("alice", 1), ("bob", 50)):
        pool = busy_pool(of, key=key, actor_id=2000 + key)
        factories.deal(pool.miner, sized(b"data" * 100))
        people.token("read", of=of)
    browser = signed_in()

    page = browser.get(f"/{name}/").context["lines"]
    lines = list(csv.DictReader(io.StringIO(text_of(browser.get(f"/{name}.csv")))))
    sorted_too = text_of(browser.get(f"/{name}.csv?sort=-state")).splitlines()[1:]

    assert page
    assert [line["id"] for line in lines] == [
        str(getattr(one.row.row, "uuid", one.row.row.pk)) for one in page
    ]
    assert len(sorted_too) == len(lines)
    assert not any("bob" in str(line) or "f02050" in str(line) for line in lines)
    assert browser.get(f"/{name}.csv?colour=red").status_code == 422


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"])
def test_a_list_as_of_a_time_far_out_is_refused_and_not_cut_off(ann, moment):
    answer = signed_in().get(f"/messages.csv?shown_at={moment}")

    assert (answer.status_code, answer.content) == (422, b"shown_at: not a valid time")


@pytest.mark.parametrize("path", ["/sectors.csv", "/messages.csv", "/gas.csv", "/senders.csv"])
def test_download_reads_no_message_parameters(ann, path):
    busy_pool()

    with CaptureQueriesContext(connection) as seen:
        text_of(signed_in().get(path))

    found = [query["sql"] for query in seen.captured_queries]
    assert not [sql for sql in found if '"params"' in sql or '"signed"' in sql]


def test_download_of_sectors_takes_one_query_for_all_rows(ann):
    miner = factories.miner()
    browser, counts = signed_in(), []
    for _ in range(3):
        factories.sector(miner)
        factories.sector(miner, precommit_batch=factories.batch(miner))
        with CaptureQueriesContext(connection) as seen:
            text_of(browser.get("/sectors.csv"))
        counts.append(len(seen))

    assert counts[1] == counts[2]  # the first request of a session reads more


def test_a_taken_list_is_filtered(ann):
    busy_pool()

    lines = list(csv.DictReader(io.StringIO(text_of(signed_in().get("/sectors.csv?state=paused")))))

    assert [line["number"] for line in lines] == ["4"]


def test_messages_are_taken_along_with_what_they_cost_and_whose_they_are(ann):
    row = factories.message("paid", state="LANDED", height=77, gas_fee_cap=9, gas_premium=3, gas_cost=123_456)
    Message.objects.filter(pk=row.pk).update(landed_at=row.created_at)
    factories.message("open", wait=Wait.FEE_CAP)

    taken = csv.DictReader(io.StringIO(text_of(signed_in().get("/messages.csv"))))
    lines = {line["id"]: line for line in taken}

    paid, fees = lines["paid"], ("gas_fee_cap_atto", "gas_premium_atto", "gas_cost_atto")
    assert [paid[name] for name in fees] == ["9", "3", "123456"]
    assert (paid["tenant"], paid["why"]) == ("alice", "in epoch 77")
    assert paid["landed"] == row.created_at.isoformat()
    assert (lines["open"]["why"], lines["open"]["landed"]) == (str(Wait.FEE_CAP.label), "")


def test_a_cell_that_a_spreadsheet_would_run_is_disarmed(ann):
    factories.message("=1+1")

    assert "'=1+1" in text_of(signed_in().get("/messages.csv"))


def test_messages_of_some_days_are_listed_taken_along_and_reviewed(ann):
    for name, day in (("early", 1), ("inside", 2), ("late", 3)):
        row = factories.message(name, state="LANDED", height=day)
        Message.objects.filter(pk=row.pk).update(created_at=datetime(2026, 3, day, 23, 59, tzinfo=UTC))
    browser, days = signed_in(), {"since": "2026-03-02", "until": "2026-03-02"}

    page = text_of(browser.get("/messages/", days))
    taken = csv.DictReader(io.StringIO(text_of(browser.get("/messages.csv", days))))
    refused = browser.get("/messages/", days | {"since": "yesterday"})

    assert [name in page for name in ("/early/", "/inside/", "/late/")] == [False, True, False]
    assert [line["id"] for line in taken] == ["inside"]
    assert "state=landed&amp;since=2026-03-02&amp;until=2026-03-02" in page
    assert '<input type="hidden" name="since" value="2026-03-02">' in page[page.index('id="selection"') :]
    assert refused.status_code == 422
    assert "since: must be a day such as 2026-03-31" in text_of(refused)
