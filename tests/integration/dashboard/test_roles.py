"""The role matrix and a miner's roles: who sees them, what the forms do, what REST answers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core import clock
from apps.core.live import Change, change_send
from apps.dashboard.live_fragments import fragments_render
from apps.miners.models import Miner, Role
from apps.miners.selectors.roles import roles_of
from apps.miners.states import RoleKind, RoleState
from apps.sectors.models import Job, Sector
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests import factories, people
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person
from tests.unit.apps.sectors.roles import give, machine

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner(monkeypatch: pytest.MonkeyPatch) -> Miner:
    factories.head(1000)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)  # a lease is 30 s, which a busy machine may take
    row = factories.miner(2001)
    for name in ("rack-a", "rack-b"):
        machine(name, at=now)
        give(row, name, RoleKind.WINDOW, at=now)
    give(row, "rack-b", RoleKind.SEAL, at=now)
    return row


def act(name: str, *, by: str = "ann", **form: str) -> Any:
    return signed_in(by).post(reverse("miner-role-act", args=["f02001", name]), form)


def holder() -> str:
    return str(Role.objects.get(kind=RoleKind.WINDOW, state=RoleState.HELD).host)


def test_the_matrix_shows_hosts_by_miners_to_those_who_see_the_miner(miner: Miner) -> None:
    person("ann"), person("ben", of="bob"), operator_person()
    for who, sees in (("ann", True), ("olga", True), ("ben", False)):
        shown = text_of(signed_in(who).get("/roles/"))
        assert ("rack-a" in shown) is sees
        assert signed_in(who).get("/miners/f02001/roles/").status_code == (200 if sees else 404)
    shown = text_of(signed_in("ann").get("/miners/f02001/roles/"))
    for word in ("holder", "standby", "shared", "Fail over…", "Make holder…", "Remove…", "Lease left"):
        assert word in shown


def test_live_fragments_follow_a_role(miner: Miner) -> None:
    for key in ("roles", "miner-roles:f02001"):
        frames = fragments_render({("role", str(miner.pk))}, viewer=SYSTEM, page=key)
        assert "rack-b" in frames
        assert "<form" not in frames, "a form of a live fragment has no token"


def test_matrix_and_today_say_what_nobody_holds_and_what_it_costs(miner: Miner) -> None:
    person("ann")
    assert "no host holds" not in text_of(signed_in("ann").get("/roles/"))
    long_ago = clock.now() - timedelta(minutes=5)
    Role.objects.filter(kind=RoleKind.WINDOW).update(heard_at=long_ago)
    Role.objects.filter(kind=RoleKind.WINDOW, state=RoleState.HELD).update(lease_until=long_ago)
    change_send(Change("role", miner.pk, miner.tenant_id))

    for page in ("/roles/", "/", "/miners/f02001/"):
        assert f"no host holds WindowPoSt for {miner.name or miner}" in text_of(signed_in("ann").get(page)), (
            page
        )
    frames = fragments_render({("role", str(miner.pk))}, viewer=SYSTEM, page="roles")
    assert "no host holds WindowPoSt" in frames
    assert "assigned to rack-a, rack-b, no heartbeat for 5 min" in text_of(signed_in("ann").get("/"))

    Role.objects.filter(host="rack-b").update(heard_at=clock.now())

    assert "no host holds" not in text_of(signed_in("ann").get("/miners/f02001/")), (
        "rack-b is about to take it"
    )


def test_fail_over_asks_first_and_then_moves_it(miner: Miner) -> None:
    person("ann")

    asked = signed_in("ann").get("/miners/f02001/roles/fail-over/?kind=window&host=rack-b")
    assert "Fail WindowPoSt over to rack-b" in text_of(asked)
    assert 'data-kind="danger"' in text_of(asked)
    removed = signed_in("ann").get("/miners/f02001/roles/remove/?kind=window&host=rack-a")
    assert 'data-kind="danger"' not in text_of(removed)
    assert holder() == "rack-a"
    assert act("fail-over", kind="window", host="rack-b", sure="yes").status_code == 302

    assert holder() == "rack-b"
    assert AuditEntry.objects.filter(action="miner.role-fail-over", target="f02001").exists()


def test_forms_give_take_combine_and_separate(miner: Miner) -> None:
    person("ann")

    assert act("give", host="rack-a", kind="winning", priority="2").status_code == 302
    assert act("combine", host="rack-a", sure="yes").status_code == 302
    assert {row.host for row in roles_of(miner) if row.state == RoleState.HELD} == {"rack-a"}
    assert "Separate…" in text_of(signed_in("ann").get("/miners/f02001/roles/"))
    assert act("separate", sure="yes").status_code == 302
    assert act("remove", host="rack-a", kind="window", sure="yes").status_code == 302
    assert holder() == "rack-b"


def test_refusal_stands_on_the_page(miner: Miner) -> None:
    person("ann")

    answer = act("fail-over", kind="window", host="rack-c", sure="yes")

    assert answer.status_code == 422
    assert "host rack-c does not have the role window for this miner" in text_of(answer)
    assert act("give", host="", kind="window").status_code == 422
    assert act("give", host="x", kind="cook").status_code == 422
    wrong = act("give", host="x", kind="window", priority="first")
    assert (wrong.status_code, "enter a whole number" in text_of(wrong)) == (422, True)
    assert not Role.objects.filter(host="x").exists()
    assert act("dance").status_code == 404


def test_strangers_and_readers_move_nothing(miner: Miner) -> None:
    person("ben", of="bob")

    assert act("remove", by="ben", host="rack-a", kind="window", sure="yes").status_code == 404
    assert holder() == "rack-a"


def test_trial_of_a_sealing_role_pledges_one_sector_for_that_host(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("ann")
    monkeypatch.setattr("apps.dashboard.pages.miners.role_acts.chain_client", lambda: None)
    monkeypatch.setattr("apps.dashboard.pages.miners.role_acts.numbers_allocated", lambda *_: [range(7)])

    assert act("test", host="rack-b", sure="yes").status_code == 302

    sector = Sector.objects.get()
    sticky = Job.objects.get().sticky_worker
    assert sticky is not None
    assert (sector.number, sticky.host) == (7, "rack-b")
    shown = text_of(signed_in("ann").get("/miners/f02001/roles/"))
    assert "sector 7 is the highest, the host has not started it yet" in shown
    assert act("test", host="rack-a", sure="yes").status_code == 422


def test_trial_says_when_another_program_gives_numbers_out(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("ann")
    monkeypatch.setattr("apps.dashboard.pages.miners.role_acts.chain_client", lambda: None)
    monkeypatch.setattr(
        "apps.dashboard.pages.miners.role_acts.numbers_allocated", lambda *_: [range(500, 501)]
    )

    act("test", host="rack-b", sure="yes")

    shown = text_of(signed_in("ann").get("/miners/f02001/roles/"))
    assert "sector 0 is below 500" in shown


def ask(method: str, path: str, body: Any = None, *, token: str) -> Any:
    return Client().generic(
        method,
        f"/api/v1/miners/f02001/roles{path}",
        json.dumps(body or {}),
        content_type="application/json",
        headers=people.bearer(token),
    )


def test_rest_gives_fails_over_renews_and_refuses(miner: Miner) -> None:
    token = people.token("sign")

    rows = ask("GET", "", token=token).json()["results"]
    assert [(row["host"], row["kind"], row["state"]) for row in rows] == [
        ("rack-a", "window", "HELD"),
        ("rack-b", "window", "STANDBY"),
        ("rack-b", "seal", "HELD"),
    ]
    lease = {"host": "rack-a", "kind": "window", "token": rows[0]["token"]}
    assert ask("POST", ":renew", lease, token=token).status_code == 200
    moved = ask("POST", ":fail-over", {"kind": "window"}, token=token)
    assert (moved.status_code, moved.json()["host"]) == (200, "rack-b")
    late = ask("POST", ":renew", lease, token=token)
    assert (late.status_code, late.json()["code"]) == (409, "role_fenced")
    assert "rack-b holds window since" in late.json()["message"]
    given = ask("POST", "", {"host": "rack-c", "kind": "winning", "priority": 1}, token=token)
    assert (given.status_code, given.json()["state"]) == (201, "STANDBY")
    assert ask("POST", ":combine", {"host": "rack-a"}, token=token).status_code == 200
    assert ask("POST", ":separate", token=token).status_code == 200
    assert ask("POST", ":remove", {"host": "rack-c", "kind": "winning"}, token=token).status_code == 200
    stranger = people.token("sign", of="bob")
    assert ask("GET", "", token=stranger).status_code == 404
    assert ask("POST", ":fail-over", {"kind": "window"}, token=stranger).status_code == 404
    assert ask("POST", ":fail-over", {"kind": "seal"}, token=token).status_code == 400
