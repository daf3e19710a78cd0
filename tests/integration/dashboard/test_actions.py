"""What people do on the pages: with htmx and without, allowed, refused, and by strangers."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.clock import now
from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.sectors.models import Sector, WorkerCommand
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.people import PASSWORD, operator_person, person
from tests.scenes import busy_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.users.models import User
    from tests.factories import MinerNode

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def signed_in(name: str = "ann") -> Client:
    client = Client()
    assert client.login(username=name, password=PASSWORD)
    return client


def text_of(answer: Any) -> str:
    return b"".join(answer).decode() if answer.streaming else answer.content.decode()


@pytest.fixture
def ann() -> User:
    return person()


@pytest.fixture
def bill() -> User:
    return person("bill", of="bob")


@pytest.fixture
def node() -> Iterator[MinerNode]:
    with factories.node_served() as answering:
        yield answering


def pledge_form(of: Any, **overrides: str) -> dict[str, str]:
    return {"miner": of.address, "count": "1", "key": "form-1", **overrides}


class TestPledge:
    def test_one_sector_leads_to_its_page(self, ann, node):
        miner = factories.miner()

        answer = signed_in().post(reverse("pledge"), pledge_form(miner))

        assert answer.status_code == 302
        assert answer.headers["Location"] == reverse("sector", args=[Sector.objects.get().uuid])

    def test_several_lead_to_the_list(self, ann, node):
        answer = signed_in().post(reverse("pledge"), pledge_form(factories.miner(), count="3"))

        assert answer.headers["Location"] == reverse("sectors")
        assert Sector.objects.count() == 3

    def test_a_double_click_is_one_pledge(self, ann, node):
        miner, client = factories.miner(), signed_in()

        client.post(reverse("pledge"), pledge_form(miner))
        client.post(reverse("pledge"), pledge_form(miner))

        assert Sector.objects.count() == 1

    @pytest.mark.parametrize("count", ["0", "-1", "x", "", "1001", "1.5", "9" * 30, "٣"])
    def test_a_bad_count_is_refused_at_its_field(self, ann, node, count):
        answer = signed_in().post(reverse("pledge"), pledge_form(factories.miner(), count=count))

        assert answer.status_code == 422
        assert 'id="count-error"' in text_of(answer)
        assert not Sector.objects.exists()

    @pytest.mark.parametrize("address", ["", "f01", "nonsense", "f09999"])
    def test_an_unknown_miner_is_refused(self, ann, node, address):
        miner = factories.miner()

        answer = signed_in().post(reverse("pledge"), pledge_form(miner, miner=address))

        assert answer.status_code == 422
        assert "choose one of your miners" in text_of(answer)

    def test_a_strangers_miner_is_unknown(self, bill, node):
        miner = factories.miner(of="alice")
        factories.miner(of="bob")

        answer = signed_in("bill").post(reverse("pledge"), pledge_form(miner))

        assert answer.status_code == 422
        assert not Sector.objects.exists()

    def test_without_a_node_it_says_so(self, ann):
        answer = signed_in().post(reverse("pledge"), pledge_form(factories.miner()))

        assert answer.status_code == 422
        assert "Not pledged." in text_of(answer)


class TestSector:
    def test_retry_answers_with_the_page_head(self, ann):
        pool = busy_pool()

        answer = signed_in().post(
            reverse("sector-retry", args=[pool.paused.uuid]), headers={**HTMX, "HX-Target": "f-sector-head"}
        )

        assert answer.status_code == 200
        assert 'id="f-sector-head"' in text_of(answer)
        assert Sector.objects.get(pk=pool.paused.pk).paused_at is None

    def test_retry_without_script_leads_back(self, ann):
        pool = busy_pool()

        answer = signed_in().post(reverse("sector-retry", args=[pool.paused.uuid]))

        assert answer.headers["Location"] == reverse("sector", args=[pool.paused.uuid])

    def test_a_refused_retry_says_why_in_the_list(self, ann):
        pool = busy_pool()

        answer = signed_in().post(reverse("sector-retry", args=[pool.active.uuid]), headers=HTMX)

        assert answer.status_code == 422
        assert f'id="f-sector-{pool.active.uuid}-refusal"' in text_of(answer)
        assert "is not paused" in text_of(answer)

    def test_a_refused_retry_without_script_says_why_on_the_page(self, ann):
        pool = busy_pool()

        answer = signed_in().post(reverse("sector-retry", args=[pool.active.uuid]))

        assert answer.status_code == 422
        assert "is not paused" in text_of(answer)
        assert "<h1>" in text_of(answer)

    def test_back_sets_an_earlier_state(self, ann):
        pool = busy_pool()

        signed_in().post(reverse("sector-back", args=[pool.paused.uuid, SectorState.ALLOCATED]))

        assert Sector.objects.get(pk=pool.paused.pk).state == SectorState.ALLOCATED

    @pytest.mark.parametrize("state", ["PROVING", "nonsense", "COMMIT_SENT"])
    def test_back_goes_only_where_the_table_leads(self, ann, state):
        pool = busy_pool()

        answer = signed_in().post(reverse("sector-back", args=[pool.paused.uuid, state]))

        assert answer.status_code == 422
        assert Sector.objects.get(pk=pool.paused.pk).state == SectorState.PC1_DONE

    def test_abort_asks_first(self, ann):
        pool = busy_pool()
        address = reverse("sector-abort", args=[pool.paused.uuid])
        client = signed_in()

        asked, unsure = client.get(address), client.post(address)

        assert "Its number is never used again" in text_of(asked)
        assert unsure.status_code == 200
        assert Sector.objects.get(pk=pool.paused.pk).state == SectorState.PC1_DONE

    def test_abort_gives_the_sector_up(self, ann):
        pool = busy_pool()

        answer = signed_in().post(
            reverse("sector-abort", args=[pool.paused.uuid]), {"sure": "yes", "reason": "disk broken"}
        )

        assert answer.status_code == 302
        assert Sector.objects.get(pk=pool.paused.pk).state == SectorState.ABORTED
        assert "disk broken" in text_of(signed_in().get(reverse("sector", args=[pool.paused.uuid])))

    def test_a_proving_sector_cannot_be_aborted(self, ann):
        pool = busy_pool()

        answer = signed_in().post(reverse("sector-abort", args=[pool.active.uuid]), {"sure": "yes"})

        assert answer.status_code == 422
        assert "Not aborted." in text_of(answer)


class TestMessage:
    def test_sending_leads_to_the_message(self, ann):
        wallet = factories.wallet()
        form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1.5"}

        answer = signed_in().post(reverse("message-compose"), form)

        assert answer.headers["Location"] == reverse("message", args=["m-1"])
        assert Message.objects.get().value == 15 * 10**17

    def test_a_double_click_is_one_message(self, ann):
        wallet, client = factories.wallet(), signed_in()
        form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1"}

        for _ in range(2):
            client.post(reverse("message-compose"), form)

        assert Message.objects.count() == 1

    @pytest.mark.parametrize(
        ("field", "value"),
        [("value", "x"), ("value", "-1"), ("value", ""), ("value", "1e999"), ("to", "nobody"), ("to", "")],
    )
    def test_a_bad_field_is_refused_where_it_stands(self, ann, field, value):
        wallet = factories.wallet()
        form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1", field: value}

        answer = signed_in().post(reverse("message-compose"), form)

        assert answer.status_code == 422
        assert f'id="{field}-error"' in text_of(answer)
        assert not Message.objects.exists()

    def test_a_strangers_wallet_cannot_send(self, bill):
        wallet = factories.wallet()
        form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1"}

        answer = signed_in("bill").post(reverse("message-compose"), form)

        assert answer.status_code == 422
        assert not Message.objects.exists()

    def test_giving_up_asks_first(self, ann):
        pool = busy_pool()
        address = reverse("message-mark-bad", args=[pool.stuck.id])
        client = signed_in()

        assert "It has no nonce yet" in text_of(client.get(address))
        assert Message.objects.get(pk=pool.stuck.pk).state == MessageState.UNFILLED
        answer = client.post(address)

        assert answer.headers["Location"] == reverse("message", args=[pool.stuck.id])
        assert Message.objects.get(pk=pool.stuck.pk).state == MessageState.FAILED

    def test_a_landed_message_cannot_be_given_up(self, ann):
        pool = busy_pool()

        answer = signed_in().post(reverse("message-mark-bad", args=[pool.landed.id]))

        assert answer.status_code == 422
        assert "Not given up." in text_of(answer)

    @pytest.mark.parametrize("headers", [HTMX, {}])
    def test_fees_of_a_landed_message_cannot_be_raised(self, ann, node, headers):
        pool = busy_pool()

        answer = signed_in().post(reverse("message-replace", args=[pool.landed.id]), headers=headers)

        assert answer.status_code == 422
        assert "message already on chain" in text_of(answer)

    @pytest.mark.parametrize("key", ["a/b/c", "send", "replace/x", "ü ß", "a?b#c", "%2f", "a" * 256])
    def test_any_id_has_a_page(self, ann, key):
        factories.head()
        factories.message(key)

        answer = signed_in().get(reverse("message", args=[key]))

        assert answer.status_code == 200
        assert "Send" in text_of(answer)


class TestHost:
    def test_pause_is_asked_for_and_shown(self, ann):
        worker = factories.worker()

        answer = signed_in().post(reverse("host-act", args=[worker.uuid, "pause"]), headers=HTMX)

        assert answer.status_code == 200
        assert "pauses with its next heartbeat" in text_of(answer)
        assert WorkerCommand.objects.get().op == "pause"

    def test_without_script_it_leads_back(self, ann):
        worker = factories.worker()

        answer = signed_in().post(reverse("host-act", args=[worker.uuid, "pause"]))

        assert answer.headers["Location"] == reverse("hosts")

    @pytest.mark.parametrize("op", ["drain", "set_plan", "nonsense"])
    def test_other_commands_have_no_address(self, ann, op):
        worker = factories.worker()

        assert signed_in().post(reverse("host-act", args=[worker.uuid, op])).status_code == 404


def actions(pool: Any) -> list[str]:
    return [
        reverse("sector-retry", args=[pool.paused.uuid]),
        reverse("sector-back", args=[pool.paused.uuid, "ALLOCATED"]),
        reverse("sector-abort", args=[pool.paused.uuid]),
        reverse("message-replace", args=[pool.flying.id]),
        reverse("message-republish", args=[pool.flying.id]),
        reverse("message-cancel", args=[pool.flying.id]),
        reverse("message-mark-bad", args=[pool.stuck.id]),
        reverse("host-act", args=[pool.sealer.uuid, "pause"]),
    ]


def test_a_stranger_can_do_nothing(bill):
    pool = busy_pool()
    client = signed_in("bill")

    assert [client.post(path, {"sure": "yes"}).status_code for path in actions(pool)] == [404] * 8
    assert not WorkerCommand.objects.exists()
    assert Sector.objects.get(pk=pool.paused.pk).paused_at is not None


def test_nobody_can_do_anything():
    pool = busy_pool()

    for path in actions(pool):
        assert Client().post(path, {"sure": "yes"}).headers["Location"].startswith("/login/")


def test_actions_want_a_token_of_the_form(ann):
    pool = busy_pool()
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)

    assert {client.post(path).status_code for path in actions(pool)} == {403}


def test_actions_by_address_alone_are_not_possible(ann):
    pool = busy_pool()
    client = signed_in()

    for name in ("sector-retry", "message-republish"):
        [path] = [path for path in actions(pool) if path == reverse(name, args=_args(pool, name))]
        assert client.get(path).status_code == 405


def _args(pool: Any, name: str) -> list[Any]:
    return [pool.paused.uuid] if name == "sector-retry" else [pool.flying.id]


@pytest.mark.parametrize(
    "path", ["/sectors/?q=%00", "/messages/?q=%00", "/messages/%00/", "/login/?next=%00"]
)
def test_a_nul_is_a_bad_request(ann, path):
    client = Client() if "login" in path else signed_in()

    assert client.get(path).status_code == 400


class TestLists:
    def test_sectors_come_in_pages_without_gaps(self, ann):
        miner = factories.miner()
        for number in range(120):
            factories.sector(miner, number=number)
        client, path, seen = signed_in(), "/sectors/", []

        while path:
            answer = client.get(path)
            seen += [line.number for line in answer.context["sectors"]]
            older = answer.context["pager"].older
            path = "/sectors/" + older if older else ""

        assert seen == list(range(119, -1, -1))

    def test_messages_of_one_moment_come_in_pages_without_gaps(self, ann):
        for _ in range(120):
            factories.message()
        Message.objects.update(created_at=now())
        client, path, seen = signed_in(), "/messages/", []

        while path:
            answer = client.get(path)
            seen += [line.href for line in answer.context["messages"]]
            older = answer.context["pager"].older
            path = "/messages/" + older if older else ""

        assert len(seen) == len(set(seen)) == 120

    @pytest.mark.parametrize(
        ("state", "numbers"),
        [
            ("", {0, 1, 2, 3, 4, 5, 6, 7, 8}),
            ("work", {3, 4, 5, 6, 7}),
            ("paused", {4}),
            ("active", {0}),
            ("sealed", {1, 2}),
            ("aborted", {8}),
            ("nonsense", {0, 1, 2, 3, 4, 5, 6, 7, 8}),
        ],
    )
    def test_sectors_are_filtered_by_state(self, ann, state, numbers):
        busy_pool()

        answer = signed_in().get("/sectors/", {"state": state})

        assert {line.number for line in answer.context["sectors"]} == numbers

    @pytest.mark.parametrize(
        ("q", "numbers"), [("4", {4}), (" 4 ", {4}), ("99", set()), ("x", set()), ("9" * 30, set())]
    )
    def test_sectors_are_found_by_number(self, ann, q, numbers):
        busy_pool()

        answer = signed_in().get("/sectors/", {"q": q})

        assert {line.number for line in answer.context["sectors"]} == numbers

    @pytest.mark.parametrize(
        ("state", "count"),
        [("", 6), ("open", 2), ("landed", 2), ("refused", 1), ("failed", 1), ("replaced", 1)],
    )
    def test_messages_are_filtered_by_state(self, ann, state, count):
        busy_pool()

        assert len(signed_in().get("/messages/", {"state": state}).context["messages"]) == count

    def test_messages_are_found_by_what_names_them(self, ann):
        pool = busy_pool()
        client = signed_in()

        def found(q: str) -> int:
            return len(client.get("/messages/", {"q": q}).context["messages"])

        assert found(pool.flying.cid) == 1
        assert found("alice/flying") == 1
        assert found(str(pool.flying.nonce)) == 1
        assert found(pool.wallet.address) == 6
        assert found("t" + pool.wallet.address[1:]) == 6
        assert found("9" * 40) == 0
        assert found("nothing") == 0

    def test_an_empty_filter_says_how_to_get_out(self, ann):
        factories.head()

        assert "No sector fits" in text_of(signed_in().get("/sectors/?state=paused"))
        assert "Show all" in text_of(signed_in().get("/messages/?q=none"))

    @pytest.mark.parametrize("after", ["x", "1:2:3", "\u00fc"])
    def test_a_forged_cursor_shows_the_first_page(self, ann, after):
        busy_pool()

        for path in ("/sectors/", "/messages/"):
            assert signed_in().get(path, {"after": after}).status_code == 200

    @pytest.mark.parametrize(("path", "rows"), [("/sectors.csv", 9), ("/messages.csv", 6)])
    def test_a_list_can_be_taken_along(self, ann, path, rows):
        busy_pool()
        busy_pool("bob", key=50, actor_id=3001)

        answer = signed_in().get(path)

        lines = list(csv.DictReader(io.StringIO(text_of(answer))))
        assert answer.headers["Content-Type"] == "text/csv"
        assert len(lines) == rows
        assert all(line["id"] for line in lines)

    def test_a_taken_list_is_filtered(self, ann):
        busy_pool()

        lines = list(csv.DictReader(io.StringIO(text_of(signed_in().get("/sectors.csv?state=paused")))))

        assert [line["number"] for line in lines] == ["4"]

    def test_a_cell_that_a_spreadsheet_would_run_is_disarmed(self, ann):
        factories.message("=1+1")

        assert "'=1+1" in text_of(signed_in().get("/messages.csv"))


class TestAccount:
    def test_the_login_leads_where_one_wanted_to_go(self, ann):
        answer = Client().post("/login/", {"username": "ann", "password": PASSWORD, "next": "/hosts/"})

        assert answer.headers["Location"] == "/hosts/"

    @pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
    def test_the_login_leads_nowhere_else(self, ann, wanted):
        answer = Client().post("/login/", {"username": "ann", "password": PASSWORD, "next": wanted})

        assert answer.headers["Location"] == "/"

    @pytest.mark.parametrize(("name", "password"), [("ann", "wrong"), ("nobody", PASSWORD), ("", "")])
    def test_a_wrong_pair_is_refused_with_one_sentence(self, ann, name, password):
        answer = Client().post("/login/", {"username": name, "password": password})

        assert answer.status_code == 422
        assert "Name and password do not match." in text_of(answer)
        assert password not in text_of(answer) or not password

    def test_a_disabled_tenants_person_is_signed_out(self, ann):
        client = signed_in()
        ann.tenant.enabled = False
        ann.tenant.save()

        assert client.get("/").headers["Location"] == "/login/"

    def test_signing_out_needs_a_post(self, ann):
        client = signed_in()

        assert client.get("/logout/").status_code == 405
        assert client.post("/logout/").headers["Location"] == "/login/"
        assert client.get("/").status_code == 302

    def test_a_password_change_keeps_this_session_and_ends_others(self, ann):
        here, there = signed_in(), signed_in()
        fresh = "another long sentence"

        answer = here.post(
            "/password/", {"old_password": PASSWORD, "new_password1": fresh, "new_password2": fresh}
        )

        assert answer.status_code == 302
        assert here.get("/").status_code == 200
        assert there.get("/").status_code == 302

    @pytest.mark.parametrize(
        ("old", "new", "again", "words"),
        [
            (
                "wrong",
                "another long sentence",
                "another long sentence",
                "old password was entered incorrectly",
            ),
            (PASSWORD, "short", "short", "too short"),
            (PASSWORD, "another long sentence", "yet another sentence", "match"),
        ],
    )
    def test_a_bad_password_change_says_why(self, ann, old, new, again, words):
        answer = signed_in().post(
            "/password/", {"old_password": old, "new_password1": new, "new_password2": again}
        )

        assert answer.status_code == 422
        assert words in text_of(answer)

    @pytest.mark.parametrize(
        ("chosen", "theme"), [("dark", "dark"), ("contrast", "contrast"), ("", ""), ("x", "")]
    )
    def test_a_theme_is_kept_in_a_cookie(self, ann, chosen, theme):
        client = signed_in()

        client.post("/theme/", {"theme": chosen, "next": "/hosts/"})

        assert (f'data-theme="{theme}"' in text_of(client.get("/"))) is bool(theme)

    def test_the_operator_can_read_what_a_page_offers(self):
        operator_person()

        assert "Pledge…" in text_of(signed_in("olga").get("/sectors/"))


def test_resync_tells_the_page_to_fetch_its_regions(ann):
    answer = signed_in().get("/resync/")

    assert (answer.status_code, answer.headers["HX-Trigger"]) == (204, "resync")
