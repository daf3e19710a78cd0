"""What every action of the pages refuses: strangers, nobody, forged forms, addresses alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.sectors.models import Sector, WorkerCommand
from tests.demo_data import busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = pytest.mark.django_db


def actions(pool: Any) -> list[str]:
    return [
        reverse("sector-retry", args=[pool.paused.uuid]),
        reverse("sector-pause", args=[pool.sealing.uuid]),
        reverse("sector-back", args=[pool.paused.uuid, "ALLOCATED"]),
        reverse("sector-abort", args=[pool.paused.uuid]),
        reverse("message-replace", args=[pool.flying.id]),
        reverse("message-republish", args=[pool.flying.id]),
        reverse("message-cancel", args=[pool.flying.id]),
        reverse("message-retry-now", args=[pool.stuck.id]),
        reverse("message-mark-bad", args=[pool.stuck.id]),
        reverse("host-act", args=[pool.sealer.uuid, "pause"]),
    ]


def test_a_stranger_can_do_nothing(bill):
    pool = busy_pool()
    client = signed_in("bill")

    assert [client.post(path, {"sure": "yes"}).status_code for path in actions(pool)] == [404] * 10
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


def test_the_operator_can_read_what_a_page_offers():
    operator_person()

    assert "Pledge…" in text_of(signed_in("olga").get("/sectors/"))


def test_resync_tells_the_page_to_fetch_its_regions(ann):
    answer = signed_in().get("/resync/")

    assert (answer.status_code, answer.headers["HX-Trigger"]) == (204, "resync")


def test_new_fees_are_asked_for_while_no_node_answers(ann):
    pool = busy_pool()

    answer = signed_in().get(reverse("message-replace", args=[pool.flying.id]))

    assert answer.status_code == 200
    assert "the pool has no readable node" in text_of(answer)


@pytest.mark.parametrize("name", ["sector-run-retry", "sector-run-abort"])
def test_a_run_of_an_unknown_kind_is_refused(ann, name):
    pool = busy_pool()

    answer = signed_in().post(reverse(name, args=[pool.active.uuid, "approve"]))

    assert answer.status_code == 422
