"""Failed sectors by fingerprint, a group tried again, and a state set by hand: page, REST, audit log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.alike import fingerprint
from apps.core.clock import now
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import Job, JobEvent, PipelineRun, Sector, SectorChange, StoreMove, Worker
from apps.sectors.selectors.failures import failures_grouped
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.audit_search import AuditFilter, audit_page
from poolsite.wire.jobs import STAGED, JobKind
from tests import factories, people
from tests.page_client import left_open, signed_in, text_of

pytestmark = pytest.mark.django_db


def failed(of: Miner, error: str, *, state: str = "PC1_DONE", host: str = "") -> Sector:
    worker = factories.worker(host, of=of.tenant.name) if host else None
    sector = factories.sector(of, state=state, paused_at=now(), error=error, error_level="TEMPORARY")
    if worker is not None:
        sector.job.sticky_worker = worker
        sector.job.save()
    return sector


def stopped(kind: JobKind, state: str, error: str) -> None:
    """A run over a proven sector of alice's that host den has given up."""
    miner = Miner.objects.filter(actor_id=2001).first() or factories.miner(2001, of="alice")
    den = Worker.objects.filter(name="den").first() or factories.worker(
        "den", host="den", stores=["store-1"], kinds=[str(one) for one in STAGED]
    )
    sector = factories.sector(miner, state="PROVING", active=True, store="store-1")
    job = factories.proof_job(miner, worker=den, kind=kind, state="PAUSED", lease_until=None)
    PipelineRun.objects.create(
        sector=sector,
        job=job,
        kind=kind,
        state=state,
        state_since=now(),
        actor="ann",
        paused_at=now(),
        error=error,
    )
    JobEvent.objects.create(job=job, event="FAIL", at=now(), is_error=True, worker=den)


def rest(method: str, path: str, body: Any = None, *, perm: str = "sign", of: str = "alice") -> Any:
    return Client().generic(
        method,
        f"/api/v1/{path}",
        "" if body is None else json.dumps(body),
        content_type="application/json",
        headers=people.bearer(people.token(perm, of=of)),
    )


def test_numbers_and_paths_do_not_part_a_group() -> None:
    one = fingerprint("PC2", "no space left on /data/s-t01000-7: 12.5 GiB needed")
    other = fingerprint("PC2", "no space left on /mnt/b/s-t01000-9: 13 GiB needed")

    assert one == other
    assert one != fingerprint("PC1", "no space left on /data/s-t01000-7: 12.5 GiB needed")
    assert one != fingerprint("PC2", "damaged file /data/s-t01000-7")


def test_groups_have_count_hosts_and_what_helps() -> None:
    miner = factories.miner(2001, of="alice")
    for number, host in enumerate(("box", "den")):
        failed(miner, f"no space left on /data/{number}", host=host)
    failed(miner, "tree is damaged", state="TREE_D_BUILT")
    failed(factories.miner(2002, of="bob"), "no space left on /data/9")

    groups = failures_grouped(people.principal("alice"))

    assert [(group.count, group.stage) for group in groups] == [(2, "PC2"), (1, "TICKET")]
    assert len(groups[0].hosts) == 2
    assert groups[0].advice.startswith("free disk space")
    assert groups[1].advice.startswith("go back to an earlier stage")
    body = rest("GET", "sector-failures", perm="read").json()["results"]
    assert [one["count"] for one in body] == [2, 1]
    assert body[0]["resume_at"][0] == "PC1_DONE"


def test_a_group_is_tried_again_together() -> None:
    miner = factories.miner(2001, of="alice")
    sectors = [failed(miner, f"killed at {number}") for number in range(3)]
    other = failed(miner, "damaged")
    key = failures_grouped(people.principal("alice"))[0].key

    body = rest("POST", f"sector-failures/{key}/retry", {}).json()

    assert len(body["retried"]) == 3
    assert body["refused"] == []
    assert set(Sector.objects.exclude(paused_at=None)) == {other}
    [line] = AuditEntry.objects.filter(action__startswith="sector.")
    assert (line.action, line.target) == ("sector.retry-all", "f02001")
    assert line.before == {"state": "PC1_DONE", "paused": True}
    assert line.after == {
        "state": "PC1_DONE",
        "paused": False,
        "sectors": sorted(sector.number for sector in sectors),
    }
    for sector in sectors:
        found = audit_page(SYSTEM, AuditFilter(target=f"f02001 / {sector.number}"), limit=2)
        assert found.rows == [line]
    assert audit_page(SYSTEM, AuditFilter(target=f"f02001 / {other.number}"), limit=2).rows == []
    assert rest("POST", f"sector-failures/{key}/retry", {}).status_code == 404
    key = failures_grouped(people.principal("alice"))[0].key
    assert len(rest("POST", f"sector-failures/{key}/retry", {"state": "PROVING"}).json()["refused"]) == 1
    rest("POST", f"sector-failures/{key}/retry", {"state": "ALLOCATED"})
    other.refresh_from_db()
    assert (other.state, other.paused_at) == ("ALLOCATED", None)


def test_stopped_snap_ups_and_rebuilds_stand_with_those_that_failed_alike(ann: None) -> None:
    stopped(JobKind.SNAP_UP, "SNAP_ENCODED", "killed at 1")
    stopped(JobKind.SNAP_UP, "SNAP_ENCODED", "killed at 2")
    stopped(JobKind.REBUILD, "REBUILD_PIECE_ADDED", "killed at 3")

    body = rest("GET", "sector-failures", perm="read").json()["results"]

    assert [(one["kind"], one["count"], one["hosts"]) for one in body] == [
        ("snap_up", 2, ["den"]),
        ("rebuild", 1, ["den"]),
    ]
    assert body[0]["resume_at"] == ["SNAP_ENCODED", "PIECES_ASSIGNED"]
    browser = signed_in()
    shown = text_of(browser.get(reverse("sectors-failures")))
    assert "2 sectors failed in Snap-up, " in shown
    assert "1 sector failed in Rebuild, " in shown
    answer = browser.post(
        reverse("sectors-failures-retry", args=[body[0]["fingerprint"]]),
        {"state": "PIECES_ASSIGNED"},
        follow=True,
    )

    assert "2 sectors retried" in text_of(answer)
    assert {row.state for row in PipelineRun.objects.filter(paused_at=None)} == {"PIECES_ASSIGNED"}
    [line] = AuditEntry.objects.filter(action__startswith="sector.")
    assert line.action == "sector.retry-all"
    assert line.after is not None
    assert (line.after["state"], len(line.after["sectors"])) == ("PIECES_ASSIGNED", 2)
    assert rest("GET", "sector-failures", perm="read", of="bob").json()["results"] == []


def ended(miner: Miner) -> dict[str, Any]:
    """An unsealing, an extension, a termination and a move, each of two sectors, that failed alike."""
    den = factories.worker("den", host="den", kinds=[str(one) for one in (*STAGED, JobKind.WINDOW_POST)])
    old, new = factories.store(den, "old"), factories.store(den, "new")
    for at in range(2):
        held: dict[str, Any] = {
            "state": "PROVING",
            "active": True,
            "store": "old",
            "comm_d": bytes(32),
            "ticket": bytes(32),
        }
        sector = factories.sector(miner, **held)
        piece = factories.piece(miner, state="ACTIVE", sector_number=sector.number, offset=0)
        job = Job.objects.create(
            kind=JobKind.UNSEAL,
            miner=miner,
            state="FAILED",
            stage="UNSEAL",
            lease_s=60,
            inputs={"sector": str(sector.uuid), "piece": str(piece.uuid)},
            error=f"the replica cannot be read at {at}",
        )
        JobEvent.objects.create(job=job, event="FAIL", at=now(), is_error=True, worker=den)
        for kind, expiration in (("EXTEND", 200_000), ("TERMINATE", None)):
            SectorChange.objects.create(
                sector=factories.sector(miner, state="PROVING", active=True),
                kind=kind,
                state=f"{kind}_FAILED",
                expiration=expiration,
                queued_height=900,
                actor="ann",
                reason="as planned",
                error=f"exit code {16 + at}",
            )
        StoreMove.objects.create(
            sector=factories.sector(miner, **held),
            worker=den,
            from_store=old,
            to_store=new,
            state="FAILED",
            actor="ann",
            error=f"wrote {at} bytes, then no more",
        )
    return {one["kind"]: one for one in rest("GET", "sector-failures", perm="read").json()["results"]}


def test_unseals_changes_and_moves_stand_with_those_that_failed_alike(ann: None) -> None:
    groups = ended(factories.miner(2001, of="alice"))

    assert {kind: (one["count"], one["hosts"], one["resume_at"]) for kind, one in groups.items()} == {
        "unseal": (2, ["den"], []),
        "extend": (2, [], []),
        "terminate": (2, [], []),
        "move": (2, ["den"], []),
    }
    assert "both stores" in groups["move"]["advice"]
    assert rest("GET", "sector-failures", perm="read", of="bob").json()["results"] == []
    shown = text_of(signed_in().get(reverse("sectors-failures")))
    for words in (
        "2 pieces failed in Unseal",
        "2 sectors failed in Extension",
        "2 sectors failed in Termination",
        "2 sectors failed in Move to another store",
        "Extend 2 sectors again…",
        "Terminate 2 sectors again…",
        "Retry all 2",
    ):
        assert words in shown


def test_an_extension_to_another_epoch_is_another_group() -> None:
    ended(factories.miner(2001, of="alice"))
    SectorChange.objects.filter(pk=SectorChange.objects.filter(kind="EXTEND").latest("pk").pk).update(
        expiration=300_000
    )

    groups = failures_grouped(people.principal("alice"))

    assert sorted(group.count for group in groups if group.kind == "extend") == [1, 1]


def test_a_group_of_unseals_or_moves_is_asked_for_once_more() -> None:
    groups = ended(factories.miner(2001, of="alice"))
    back = rest("POST", f"sector-failures/{groups['move']['fingerprint']}/retry", {"state": "PROVING"}).json()
    assert [one["reason"] for one in back["refused"]] == ["it has no earlier state to go back to"] * 2

    for kind in ("unseal", "move"):
        body = rest("POST", f"sector-failures/{groups[kind]['fingerprint']}/retry", {}, perm="write").json()
        assert len(body["retried"]) == 2
        assert body["refused"] == []

    assert Job.objects.filter(kind="unseal", state="READY").count() == 2
    assert StoreMove.objects.filter(state="QUEUED").count() == 2
    unsealed = sorted(piece.sector_number or 0 for piece in Piece.objects.all())
    lines = AuditEntry.objects.filter(action__in=("piece.unseal-retry", "sector.retry-all", "store.move"))
    assert [(line.action, (line.after or {})["sectors"]) for line in lines.order_by("pk")] == [
        ("sector.retry-all", unsealed),
        ("store.move", 2),
    ]
    assert Job.objects.filter(kind="unseal", state="FAILED").count() == 2, "nothing is deleted"
    left = {one["kind"] for one in rest("GET", "sector-failures", perm="read").json()["results"]}
    assert left == {"extend", "terminate"}


def test_those_that_do_not_go_on_are_named() -> None:
    groups = ended(factories.miner(2001, of="alice"))
    Sector.objects.filter(store="old").update(store="lost")

    moved = rest("POST", f"sector-failures/{groups['move']['fingerprint']}/retry", {}).json()
    unsealed = rest("POST", f"sector-failures/{groups['unseal']['fingerprint']}/retry", {}).json()

    assert moved["retried"] == unsealed["retried"] == []
    assert "none of them is proving in old" in moved["refused"][0]["reason"]
    assert "no host here has its store lost" in unsealed["refused"][0]["reason"]


def test_changes_are_asked_for_again_by_those_who_sign(ann: None) -> None:
    groups = ended(factories.miner(2001, of="alice"))
    address = f"sector-failures/{groups['terminate']['fingerprint']}/retry"

    back = rest("POST", address, {"state": "PERSISTED"})
    assert (back.status_code, back.json()["field"]) == (400, "state")
    assert rest("POST", address, {}, perm="write").status_code == 403
    assert rest("POST", address, {}).status_code == 503, "no head of the chain was read"
    person = left_open().post(f"/api/v1/{address}", "{}", content_type="application/json")

    assert person.status_code == 403
    assert person.json()["code"] == "not_confirmed"
    assert SectorChange.objects.count() == 4


def test_the_page_tries_a_group_again(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    for number in range(2):
        failed(miner, f"killed at {number}")
    browser = signed_in()

    shown = text_of(browser.get(reverse("sectors-failures")))
    assert "2 sectors failed in PC2" in shown
    assert "Retry all 2" in shown
    key = failures_grouped(people.principal("alice"))[0].key
    answer = browser.post(reverse("sectors-failures-retry", args=[key]), {"state": ""}, follow=True)

    assert "2 sectors retried" in text_of(answer)
    assert not Sector.objects.exclude(paused_at=None).exists()


def test_a_state_is_set_by_hand_with_a_reason(ann: None) -> None:
    sector = failed(factories.miner(2001, of="alice"), "lost")
    page, browser = reverse("sector-state-set", args=[sector.uuid]), signed_in()

    assert "Set state" in text_of(browser.get(page))
    wrong = browser.post(page, {"state": "PERSISTED", "reason": "restored", "confirm": "PROVING"})
    assert wrong.status_code == 422
    answer = browser.post(page, {"state": "PERSISTED", "reason": "restored", "confirm": "PERSISTED"})

    sector.refresh_from_db()
    assert answer.status_code == 302
    assert (sector.state, sector.paused_at) == ("PERSISTED", None)
    entry = AuditEntry.objects.get(action="sector.state-set")
    assert entry.after is not None
    assert entry.after["reason"] == "restored"
    assert JobEvent.objects.get(job__sector=sector).note == "restored"


@pytest.mark.parametrize(
    ("state", "body", "status"),
    [
        ("PC1_DONE", {"state": "ABORTED", "reason": "x"}, 400),
        ("PC1_DONE", {"state": "TERMINATED", "reason": "x"}, 400),
        ("PC1_DONE", {"state": "PERSISTED"}, 400),
        ("PC1_DONE", {"state": "PC1_DONE", "reason": "x"}, 400),
        ("ABORTED", {"state": "PERSISTED", "reason": "x"}, 409),
    ],
)
def test_states_of_the_chain_and_ends_are_not_set(state: str, body: Any, status: int) -> None:
    sector = factories.sector(factories.miner(2001, of="alice"), state=state)

    assert rest("PUT", f"sectors/{sector.uuid}/state", body).status_code == status
    assert rest("PUT", f"sectors/{sector.uuid}/state", body, perm="write").status_code == 403
    whole = {"state": "PERSISTED", "reason": "x"}
    assert rest("PUT", f"sectors/{sector.uuid}/state", whole, of="bob").status_code == 404
