"""What is done to messages on their pages: replacing with a price, and whole queues after a review."""

from __future__ import annotations

import csv
import io
import re
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.chain.models import Head
from apps.chain.node import client as node_client
from apps.core.clock import now
from apps.messages.models import (
    Message,
    SignedVersion,
)
from apps.messages.rules.push_items import Gas
from apps.messages.services.bulk import bulk_price, messages_bulk
from apps.messages.states import MessageState
from apps.users.models import AuditEntry
from tests.messaging import Pool
from tests.page_client import HTMX, hidden_fields, signed_in, text_of

pytestmark = pytest.mark.django_db
CHEAP = Gas(limit=2_000_000, fee_cap=1_000, premium=100)


def flying(pool: Pool, *ids: str) -> str:
    address = pool.address()
    for one in ids:
        pool.push(one, address, gas=CHEAP)
    pool.choose()
    return address


class TestReplace:
    def test_the_form_says_the_price_before_anything_is_signed(self, pool):
        flying(pool, "one")
        asked = pool.keyring.asked

        page = text_of(signed_in("ann").get(reverse("message-replace", args=["one"])))

        assert "at least" in page
        assert "At most" in page
        assert pool.keyring.asked == asked

    def test_a_preview_signs_nothing_and_replacing_does(self, pool):
        flying(pool, "one")
        form = {"gas_premium": "0.000001", "gas_fee_cap": "0.000005", "gas_limit": "2000000"}
        client, where = signed_in("ann"), reverse("message-replace", args=["one"])

        assert "0.00000001" not in text_of(client.post(where, {**form, "preview": "1"}))
        assert not SignedVersion.objects.exists()
        assert client.post(where, form).status_code == 302

        row = pool.row("one")
        assert (row.gas_premium, row.gas_fee_cap) == (1_000, 5_000)
        assert str(pool.node.pool[(row.from_addr, 0)].cid) == row.cid

    def test_replacing_waits_for_a_node_longer_than_a_page_does(self, pool, monkeypatch):
        flying(pool, "one")
        form = {"gas_premium": "0.000001", "gas_fee_cap": "0.000005", "gas_limit": "2000000"}
        client, where = signed_in("ann"), reverse("message-replace", args=["one"])
        monkeypatch.setattr(node_client, "PAGE_S", 0.0)
        monkeypatch.setattr(node_client, "AWAY_PAGE_S", 0.0)

        assert client.post(where, {**form, "preview": "1"}).status_code == 422
        assert client.post(where, form).status_code == 302

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            ({"gas_premium": "0.00000011", "gas_fee_cap": "0.1"}, "gas_premium"),
            ({"gas_premium": "0.1", "gas_fee_cap": "0.01"}, "gas_fee_cap"),
            ({"gas_premium": "0.1", "gas_fee_cap": "0.2", "max_fee": "0.0000001"}, "max_fee"),
            ({"gas_premium": "much", "gas_fee_cap": "0.2"}, "gas_premium"),
        ],
    )
    def test_what_no_pool_takes_is_refused_at_its_field(self, pool, form, field):
        flying(pool, "one")
        asked = pool.keyring.asked

        answer = signed_in("ann").post(reverse("message-replace", args=["one"]), {"gas_limit": "", **form})

        assert answer.status_code == 422
        assert f'id="{field}-error"' in text_of(answer)
        assert pool.keyring.asked == asked

    @pytest.mark.parametrize("headers", [HTMX, {}])
    def test_a_button_that_is_pressed_twice_raises_fees_once(self, pool, headers):
        flying(pool, "one")
        client = signed_in("ann")
        page = text_of(client.get(reverse("message", args=["one"])))
        [where] = re.findall(r'hx-post="([^"]*/replace/[^"]*)"', page)

        first, again = (client.post(where, headers=headers) for _ in range(2))

        assert (first.status_code, again.status_code) == (200 if headers else 302, 422)
        assert "signed or replaced in the meantime" in text_of(again)
        assert SignedVersion.objects.count() == 1

    def test_limits_typed_before_it_was_signed_replace_nothing(self, pool):
        pool.push("one", pool.address(), gas=CHEAP)
        client, where = signed_in("ann"), reverse("message-replace", args=["one"])
        assert "Save and retry now" in text_of(client.get(where))
        pool.choose()
        asked = pool.keyring.asked

        answer = client.post(where, {"gas_fee_cap": "0.000001", "max_fee": "0.000000000001"})

        page = text_of(answer)
        assert answer.status_code == 422
        assert "it was signed in the meantime" in page
        assert re.search(r'id="gas_fee_cap"[^>]*value="0.000001"', page)
        assert re.search(r'id="max_fee"[^>]*value="0.000000000001"', page)
        assert (pool.keyring.asked, SignedVersion.objects.exists()) == (asked, False)

    def test_a_strangers_message_is_absent(self, pool):
        flying(pool, "one")
        for name in ("message-replace", "message-cancel", "message-republish"):
            assert signed_in("bill").post(reverse(name, args=["one"])).status_code == 404


class TestQueue:
    def test_a_whole_filter_is_given_up_once_that_is_confirmed(self, pool):
        address = flying(pool, "one", "two")
        pool.push("three", pool.address())
        where = reverse("messages-bulk", args=["mark-bad"])
        client, picked = signed_in("ann"), {"all": "1", "q": address}

        assert "Mark as failed: 2 messages" in text_of(client.post(where, picked))
        assert Message.objects.filter(state=MessageState.FAILED).count() == 0
        page = text_of(client.post(where, hidden_fields(client.post(where, picked))))

        assert "2 messages done" in page
        assert set(Message.objects.filter(state=MessageState.FAILED).values_list("push_id", flat=True)) == {
            "one",
            "two",
        }

    def test_what_was_done_is_not_priced_and_no_message_without_a_key_is_read(self, pool):
        flying(pool, "one")
        where, client = reverse("messages-bulk", args=["mark-bad"]), signed_in("ann")
        picked = {"id": pool.row("one").pk, "cid": pool.row("one").cid, "confirmed": "1"}

        with CaptureQueriesContext(connection) as queries:
            page = text_of(client.post(where, picked))

        read = [row["sql"] for row in queries]
        assert "1 message done" in page
        assert read.count("EXECUTE head_current") == 2, "for the change, and for the page"
        assert not [sql for sql in read if """"id" = ''""" in sql]

    @pytest.mark.parametrize("action", ["replace", "cancel", "republish"])
    def test_picked_messages_in_flight_are_changed_and_no_others(self, pool, action):
        flying(pool, "one", "two", "three")
        one, two = (pool.row(name).pk for name in ("one", "two"))
        where, picked = reverse("messages-bulk", args=[action]), {"id": [one, two], "q": "three"}

        asked = text_of(signed_in("ann").post(where, picked))
        assert pool.row("one").state == MessageState.FILLED
        cids = [pool.row(name).cid for name in ("one", "two")]
        page = text_of(signed_in("ann").post(where, {**picked, "cid": cids, "confirmed": "1"}))

        price = "This costs nothing." if action == "republish" else "At the current base fee, gas costs"
        assert price in asked
        assert f'name="id" value="{two}"' in asked
        assert "2 messages done" in page
        expected = {"replace": ("FILLED", 2), "cancel": ("FAILED", 0), "republish": ("FILLED", 0)}[action]
        assert pool.row("one").state == expected[0]
        assert SignedVersion.objects.count() == expected[1]
        assert pool.row("three").state == MessageState.FILLED
        assert not SignedVersion.objects.filter(message__push_id="three").exists()

    @pytest.mark.parametrize("action", ["replace", "cancel", "mark-bad"])
    def test_what_was_replaced_after_the_review_is_left_alone(self, pool, action):
        flying(pool, "one", "two")
        client, where = signed_in("ann"), reverse("messages-bulk", args=[action])
        review = hidden_fields(client.post(where, {"id": [pool.row(name).pk for name in ("one", "two")]}))
        raised = {"id": pool.row("one").pk, "cid": pool.row("one").cid, "confirmed": "1"}
        client.post(reverse("messages-bulk", args=["replace"]), raised)
        kept = pool.row("one")

        page = text_of(client.post(where, review))

        assert "1 message done, 1 refused" in page
        assert "signed or replaced in the meantime" in page
        assert not AuditEntry.objects.filter(action="message.mark-bad-all").exists()
        one = pool.row("one")
        assert (one.state, one.cid, one.gas_fee_cap) == ("FILLED", kept.cid, kept.gas_fee_cap)

    def test_one_review_sent_twice_raises_fees_once(self, pool):
        flying(pool, "one")
        client, where = signed_in("ann"), reverse("messages-bulk", args=["replace"])
        review = hidden_fields(client.post(where, {"id": pool.row("one").pk}))

        first, again = (text_of(client.post(where, review)) for _ in range(2))

        assert "1 message done" in first
        assert "0 messages done, 1 refused" in again
        assert SignedVersion.objects.count() == 1

    def test_the_line_of_several_names_those_alone_that_were_marked(self, pool):
        names = ("one", "two", "three")
        flying(pool, *names)
        Message.objects.filter(push_id="two").update(signed=b"", exported_at=now())
        where, keys = reverse("messages-bulk", args=["mark-bad"]), [pool.row(name).pk for name in names]
        picked = {"id": keys, "cid": [pool.row(name).cid for name in names], "confirmed": "1"}

        page = text_of(signed_in("ann").post(where, picked))

        assert "2 messages done, 1 refused" in page
        [line] = AuditEntry.objects.filter(action__startswith="message.mark-bad")
        after = line.after or {}
        assert (line.target, after["state"]) == ("2 messages", "FAILED")
        assert [name.partition(" ")[0] for name in after["messages"]] == ["one", "three"]

    def test_what_was_signed_after_the_review_is_not_marked_as_failed(self, pool):
        pool.push("one", pool.address(), gas=CHEAP)
        client, where = signed_in("ann"), reverse("messages-bulk", args=["mark-bad"])
        review = hidden_fields(client.post(where, {"id": pool.row("one").pk}))
        pool.choose()

        assert "0 messages done, 1 refused" in text_of(client.post(where, review))
        assert pool.row("one").state == MessageState.FILLED

    @pytest.mark.parametrize("action", ["replace", "republish", "mark-bad"])
    def test_filter_too_long_for_one_review_is_done_in_parts_and_nothing_twice(
        self, pool, monkeypatch, action
    ):
        flying(pool, "one", "two", "three")
        monkeypatch.setattr("apps.dashboard.pages.messages.bulk.BULK_MAX", 2)
        client, where = signed_in("ann"), reverse("messages-bulk", args=[action])
        review = client.get(where, {"state": "open"})
        assert "(first 2)" in text_of(review)

        done = client.post(where, hidden_fields(review))

        page = text_of(done)
        assert "2 messages done" in page
        assert 'name="id"' not in page
        assert 'type="submit"' not in page[page.index("2 messages done") : page.index("</main>")]
        [rest] = re.findall(r'href="(\?state=open[^"]*)"', page)
        review = client.get(where + unescape(rest))
        assert f'name="id" value="{pool.row("three").pk}"' in text_of(review)
        assert "1 message" in text_of(review)
        page = text_of(client.post(where, hidden_fields(review)))
        assert "1 message done" in page
        assert "Review the next" not in page
        assert SignedVersion.objects.count() == (3 if action == "replace" else 0)

    def test_the_price_of_a_replacement_is_the_one_that_is_signed(self, pool):
        flying(pool, "one", "two")
        rows, head = [pool.row("one"), pool.row("two")], pool.head
        price = bulk_price("replace", rows=rows, client=pool.client, head=head)

        messages_bulk("replace", rows=rows, client=pool.client, head=head, now=pool.now)

        new = [pool.row("one"), pool.row("two")]
        paid = sum(
            row.gas_limit * min(int(row.gas_fee_cap), int(head.base_fee) + int(row.gas_premium))
            for row in new
        )
        assert price is not None
        assert (price.now, price.most) == (paid, sum(row.gas_limit * int(row.gas_fee_cap) for row in new))
        assert price.before < price.now < price.most

    def test_without_a_node_the_price_is_not_known_and_that_is_said(self, pool):
        flying(pool, "one")
        pool.node.lacks.add("GasEstimateMessageGas")

        page = text_of(
            signed_in("ann").post(reverse("messages-bulk", args=["replace"]), {"id": pool.row("one").pk})
        )

        assert "Cost unknown" in page

    def test_what_came_after_the_list_was_shown_is_left_alone(self, pool):
        flying(pool, "one")
        until = pool.row("one").created_at.isoformat()
        flying(pool, "late")

        client, where = signed_in("ann"), reverse("messages-bulk", args=["mark-bad"])
        picked = {"all": "1", "state": "open", "shown_at": until}
        client.post(where, hidden_fields(client.post(where, picked)))

        assert pool.row("one").state == MessageState.FAILED
        assert pool.row("late").state == MessageState.FILLED

    @pytest.mark.parametrize("action", ["cancel", "mark-bad"])
    def test_message_that_fits_after_the_review_is_left_alone(self, pool, action):
        flying(pool, "one", "late")
        Message.objects.filter(push_id="one").update(gas_fee_cap=400)
        Head.objects.update(base_fee=500)
        client, where = signed_in("ann"), reverse("messages-bulk", args=[action])
        picked = {"all": "1", "state": "priced-out", "shown_at": now().isoformat()}
        review = client.post(where, picked)
        Head.objects.update(base_fee=1_100)

        unread = text_of(client.post(where, {**picked, "confirmed": "1"}))
        assert "2 messages" in unread
        assert "done" not in unread
        done = text_of(client.post(where, hidden_fields(review)))

        assert "1 message done" in done
        assert pool.row("one").state == MessageState.FAILED
        assert pool.row("late").state == MessageState.FILLED

    @pytest.mark.parametrize(
        "picked",
        [
            {"id": [f"m{number}" for number in range(501)]},
            {"all": "1", "shown_at": "yesterday"},
            {"all": "1", "shown_at": "2026-11-20T08:00:00"},
        ],
    )
    def test_a_selection_that_cannot_be_read_is_refused(self, pool, picked):
        flying(pool, "one")
        for name, args in (("messages-bulk", ["mark-bad"]), ("messages-csv", [])):
            answer = signed_in("ann").post(reverse(name, args=args), {**picked, "confirmed": "1"})
            assert answer.status_code == 422
        assert pool.row("one").state == MessageState.FILLED

    def test_filter_without_a_picked_row_changes_nothing(self, pool):
        flying(pool, "one")
        bar = {"all": "", "state": "open", "q": "", "shown_at": now().isoformat()}  # without JavaScript
        client, where = signed_in("ann"), reverse("messages-bulk", args=["mark-bad"])

        for sent in (bar, bar | {"confirmed": "1"}):
            answer = client.post(where, sent)
            assert answer.status_code == 422
            assert "no message is selected" in text_of(answer)
            assert "Mark as failed: 0 messages" in text_of(answer)
        rows = client.post(reverse("messages-csv"), bar).getvalue().decode()

        assert pool.row("one").state == MessageState.FILLED
        assert len(rows.splitlines()) == 2, "the list as CSV is all that fits the filter"

    def test_picked_messages_are_downloaded(self, pool):
        flying(pool, "one", "two", "three")

        picked = {"id": [pool.row(name).pk for name in ("one", "three")]}
        answer = signed_in("ann").post(reverse("messages-csv"), picked)

        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
        assert sorted(row["id"] for row in rows) == ["one", "three"]

    def test_others_queues_are_left_alone(self, pool):
        flying(pool, "one")

        for picked in ({"all": "1"}, {"id": "one"}):
            where = reverse("messages-bulk", args=["mark-bad"])
            page = text_of(signed_in("bill").post(where, {**picked, "confirmed": "1"}))
            assert "0 messages" in page
        assert pool.row("one").state == MessageState.FILLED

    def test_nothing_is_changed_by_looking(self, pool):
        flying(pool, "one")
        asked = {"all": "1", "state": "open", "confirmed": "1"}

        answer = signed_in("ann").get(reverse("messages-bulk", args=["mark-bad"]), asked)

        assert "Mark as failed: 1 message" in text_of(answer)
        assert pool.row("one").state == MessageState.FILLED

    def test_an_unknown_action_is_absent(self, pool):
        assert signed_in("ann").post(reverse("messages-bulk", args=["explode"])).status_code == 404

    def test_the_list_says_how_many_there_are_to_pick(self, pool):
        flying(pool, "one", "two")

        page = text_of(signed_in("ann").get(reverse("messages")))

        assert page.count('name="id"') == 2
        assert "Select all in progress (2)" in page

    def test_cancelling_leads_back_to_the_message(self, pool):
        flying(pool, "one")
        client, where = signed_in("ann"), reverse("message-cancel", args=["one"])

        assert "replaces it at the same nonce" in text_of(client.get(where))
        assert pool.row("one").state == MessageState.FILLED
        assert client.post(where).headers["Location"] == reverse("message", args=["one"])
        assert Message.objects.get(kind="cancel").state == MessageState.FILLED
