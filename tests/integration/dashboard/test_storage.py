"""Storage on the pages and over REST: what is seen, attached, changed, detached, refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from apps.api.v1.store_output import store_body
from apps.checks.findings.sector_ends import files_left
from apps.checks.findings.stores import LOST_COUNTED_MAX, stores_away
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.dashboard.pages.storage.listing import checked_rows
from apps.sectors.models import SectorCopy, Store, StoreCheck, StoreMove, Worker, WorkerCommand
from apps.sectors.selectors.store_groups import store_marks
from apps.sectors.selectors.stores import stores_visible
from apps.sectors.services.stores.reported import stores_note
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.users.states import Role
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import UNBOUNDED_BYTES, AttachedStore, StoreCondition
from tests import factories
from tests.integration.dashboard.check_scenes import SCENES
from tests.page_client import signed_in, text_of
from tests.people import bearer, person, tenant, token

pytestmark = pytest.mark.django_db


def attached(worker: Worker, name: str = "disk", **facts: Any) -> Store:
    """A host with one more store."""
    data: dict[str, Any] = {"uid": f"uid-{name}", "name": name, "path": f"/mnt/{name}"}
    data |= {"condition": StoreCondition.READY, "total_bytes": 1 << 40, "free_bytes": 1 << 39, "sectors": 7}
    rows = [
        AttachedStore(
            uid=row.store.uid, name=row.store.name, path=row.path, condition=StoreCondition(row.condition)
        )
        for row in worker.attachments.all()
    ]
    worker.stores = stores_note(worker, reported=[*rows, AttachedStore(**(data | facts))], now=now())
    worker.save()
    return Store.objects.get(uid=data["uid"])


def prover(name: str = "prover", **data: Any) -> Worker:
    return factories.worker(name, kinds=[str(JobKind.WINDOW_POST)], **data)


def test_a_store_with_sectors_that_no_prover_has_needs_attention(ann):
    attached(factories.worker("sealing"), "sealed-here")
    attached(factories.worker("second"), "empty", sectors=0)
    page = signed_in()
    shown = lambda state: text_of(page.get(reverse("stores"), {"state": state}))  # noqa: E731

    assert "no prover of the pool has it attached" in shown("trouble")
    assert ("sealed-here" in shown("ready"), "empty" in shown("ready")) == (False, True)
    attached(prover(), "sealed-here")
    assert "no prover" not in shown("")
    assert "sealed-here" in shown("ready")


def test_the_list_shows_room_conditions_and_filters(ann):
    box = prover()
    attached(box)
    attached(factories.worker("far", of="bob"), "foreign")
    gone = {"condition": StoreCondition.AWAY, "reason": "/mnt/x is not a folder"}
    attached(factories.worker("cold"), "away-disk", **gone)
    page = signed_in()

    text = text_of(page.get(reverse("stores")))

    assert "away-disk" in text
    assert "/mnt/x is not a folder" in text
    assert "512 GiB" in text
    assert "foreign" not in text
    ready = text_of(page.get(reverse("stores"), {"state": "ready"}))
    assert "prover" in ready
    assert "/mnt/x is not a folder" not in ready


def test_a_bucket_without_a_bound_adds_no_room(ann):
    attached(prover())
    told: dict[str, Any] = {"total_bytes": UNBOUNDED_BYTES, "free_bytes": UNBOUNDED_BYTES - (1 << 30)}
    bucket = attached(prover("other"), "bucket", **told)
    page = signed_in()

    listed = " ".join(text_of(page.get(reverse("stores"))).split())
    own = " ".join(text_of(page.get(reverse("store", args=[bucket.uuid]))).split())

    assert "2 stores, 512 GiB free of 1 TiB and 1 without a size limit." in listed
    assert " PiB" not in listed
    assert "1 GiB used, no size limit" in own
    rows = stores_visible(SYSTEM, now=now())
    assert {store_body(row)["free_bytes"] for row in rows} == {1 << 39, None}
    assert " PiB" not in own


def test_stores_on_one_disk_are_summed_once(ann):
    disk: dict[str, Any] = {"disk": "42", "disk_bytes": 1 << 40, "disk_free_bytes": 1 << 39}
    box = prover()
    attached(box, **disk)
    attached(box, "beside", **disk)

    assert "2 stores, 512 GiB free of 1 TiB." in text_of(signed_in().get(reverse("stores")))


def test_the_list_shows_the_path_that_all_hosts_have_a_store_at(ann):
    """The stores of lotus-miner have no name, only an ID."""
    attached(factories.worker("h1"))
    page = signed_in()
    assert "/mnt/disk" in text_of(page.get(reverse("stores")))

    attached(factories.worker("h2"), path="/srv/disk")
    shown = text_of(page.get(reverse("stores")))
    assert ("/mnt/disk" in shown, "/srv/disk" in shown) == (False, False)


def test_the_list_shows_what_checks_of_files_found_and_how_far_one_is(ann):
    box = prover()
    known = {name: attached(box, name) for name in ("disk", "busy", "new")}
    row = factories.sector(factories.miner(), state="PROVING", store="disk")
    SectorCopy.objects.create(sector=row, store=known["disk"], condition="BAD", found_at=now())
    facts = {"worker": box, "bytes_s": 1 << 20, "total": 9, "actor": "ann"}
    for store, state in ((known["disk"], "DONE"), (known["busy"], "RUNNING")):
        StoreCheck.objects.create(store=store, state=state, done=4, **facts)

    def cell(name: str) -> str:
        table = text_of(signed_in().get(reverse("stores"))).split("<tbody")
        [one] = [part for part in table if f"f-store-{known[name].uuid}" in part]
        return " ".join(one.split('data-label="Files checked">')[1].split("</td>")[0].split())

    assert "1 bad" in cell("disk")
    assert "<time" in cell("disk")
    assert "running" in cell("busy")
    assert "4 of 9 sectors checked" in cell("busy")
    assert cell("new") == "never"
    trouble = text_of(signed_in().get(reverse("stores"), {"state": "trouble"}))
    assert str(known["disk"].uuid) in trouble
    assert str(known["new"].uuid) not in trouble


def test_a_stores_page_has_hosts_rules_sectors_and_events(ann):
    store = attached(prover(), weight=3, deny_miners=(1002,), reserve_bytes=1 << 30)
    factories.sector(factories.miner(), state="PROVING", store="disk")

    text = text_of(signed_in().get(reverse("store", args=[store.uuid])))

    for words in ("/mnt/disk", "prover", "f01002", "1 GiB", "proving", "attached to prover", "uid-disk"):
        assert words in text, words


def test_pages_speak_of_buckets_too(ann):
    store = attached(prover(), path="s3://sectors/pool1", total_bytes=UNBOUNDED_BYTES, sectors=1)
    page = signed_in()

    text = text_of(page.get(reverse("store", args=[store.uuid])))

    assert "1 replica in the store" in text
    assert "disk" not in text.replace("uid-disk", "").replace(store.name, "").lower()
    attach = text_of(page.get(reverse("store-attach")))
    for words in ("s3://bucket/prefix", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
        assert words in attach, words
    Store.objects.update(sectors=2)
    assert "2 replicas in the store" in text_of(page.get(reverse("store", args=[store.uuid])))


def test_attached_on_the_page_it_is_ordered_and_audited(ann):
    worker = factories.worker("box")
    sent = {"worker": str(worker.uuid), "folder": "/mnt/new", "kind": "new"}

    answer = signed_in().post(reverse("store-attach"), sent)

    assert answer.status_code == 302
    command = WorkerCommand.objects.get()
    assert (command.op, command.args) == ("attach", {"path": "/mnt/new", "init": "yes"})
    assert AuditEntry.objects.filter(action="store.attach").exists()
    assert "Attach /mnt/new" in text_of(signed_in().get(reverse("stores")))
    refused = signed_in().post(reverse("store-attach"), sent | {"folder": "mnt"})
    assert refused.status_code == 422
    assert "must be an absolute path" in text_of(refused)


def test_changed_on_the_page_the_host_writes_it(ann):
    store = attached(prover(), weight=3, reserve_bytes=1000)
    page = signed_in()
    where = reverse("store-change", args=[store.uuid])
    assert "1000 B" in page.get(where).content.decode()

    sent = {
        "weight": "4",
        "reserve_bytes": "500 GiB",
        "max_bytes": "",
        "labels": "cold, east",
        "is_read_only": "yes",
    }
    answer = page.post(where, sent)

    assert answer.status_code == 302
    args = WorkerCommand.objects.get().args
    assert args == {"uid": "uid-disk", "weight": "4", "reserve_bytes": str(500 << 30), "read_only": "yes"}
    assert Store.objects.get().labels == ["cold", "east"]
    assert f"Change {store.name}" in text_of(page.get(reverse("stores")))
    after = AuditEntry.objects.values_list("after", flat=True).get(action="store.set_store")
    assert after is not None
    assert after.keys() == args.keys() - {"uid"}
    assert page.post(where, sent | {"reserve_bytes": "much"}).status_code == 422


def test_detaching_says_why_not_and_is_asked_first(ann):
    box = prover()
    store = attached(box)
    factories.sector(factories.miner(), state="PROVING", store="disk")
    page, where = signed_in(), reverse("store-detach", args=[store.uuid, box.uuid])

    assert "must be proven" in text_of(page.get(where, follow=True))
    attached(prover("second"))
    assert "Detach disk from prover" in text_of(page.get(where))
    page.post(where, {"sure": "yes"})

    assert WorkerCommand.objects.get().op == "detach"


def test_an_auditor_sees_and_changes_nothing(ann):
    box = prover()
    store = attached(box)
    person("aud", role=Role.AUDITOR)
    page = signed_in("aud")

    assert page.get(reverse("store", args=[store.uuid])).status_code == 200
    assert page.get(reverse("store-attach")).status_code == 404
    assert page.post(reverse("store-change", args=[store.uuid]), {"weight": "9"}).status_code == 404
    assert page.post(reverse("store-detach", args=[store.uuid, box.uuid]), {"sure": "yes"}).status_code == 404
    assert not WorkerCommand.objects.exists()


def test_over_rest_stores_are_listed_by_cursor_changed_and_detached(client):
    box = prover()
    attached(box)
    store = attached(box, "second")
    ann, reader = bearer(token("sign")), bearer(token("write"))

    first = client.get("/api/v1/stores?limit=1", headers=ann).json()
    second = client.get("/api/v1/stores", {"limit": 1, "cursor": first["next"]}, headers=ann).json()
    assert [one["name"] for one in (*first["results"], *second["results"])] == ["second", "disk"]
    assert second["next"] is None

    where = f"/api/v1/stores/{store.uuid}"
    body = client.get(where, headers=reader).json()
    assert (body["condition"], body["attachments"][0]["path"]) == ("READY", "/mnt/second")
    json: dict[str, Any] = {"content_type": "application/json"}
    assert client.patch(where, {"weight": 2}, **json, headers=reader).status_code == 403, "as on the pages"
    for path in ("/api/v1/stores", f"{where}/detach", f"{where}/moves"):
        assert client.post(path, {}, **json, headers=reader).status_code == 403
    assert client.delete(f"{where}/moves", headers=reader).status_code == 403
    assert client.patch(where, {"weight": 2, "labels": ["x"]}, **json, headers=ann).json()["labels"] == ["x"]
    order = client.post("/api/v1/stores", {"worker_id": str(box.uuid), "path": "/a"}, **json, headers=ann)
    assert order.status_code == 201
    factories.sector(factories.miner(), state="PROVING", store="second")
    refused = client.post(f"{where}/detach", {"worker_id": str(box.uuid)}, **json, headers=ann)
    assert (refused.status_code, refused.json()["code"]) == (409, "store_refused")
    assert client.get(where, headers=bearer(token("write", of="bob"))).status_code == 404


def test_a_move_names_the_half_copy_that_another_host_must_remove_first(client, ann):
    box, other = prover(), prover("second")
    source, target = attached(box), attached(box, "target")
    row = factories.sector(factories.miner(1000), number=7, state="PROVING", store="disk")
    StoreMove.objects.create(sector=row, worker=box, from_store=source, to_store=target, actor="ann")
    args = {"sector": str(row.uuid), "miner_id": "1000", "number": "7", "to": target.uid}
    order = WorkerCommand.objects.create(worker=other, op="drop_copy", args=args)
    reader, where = bearer(token("write")), f"/api/v1/stores/{source.uuid}/moves"

    [move] = client.get(where, headers=reader).json()["results"]
    assert move["waits_for"] == {"host": "second", "name": "s-t01000-7", "store": "target"}
    words = "waiting for second to remove leftover s-t01000-7 from target"
    page = signed_in()
    assert words in text_of(page.get(reverse("store", args=[source.uuid])))

    WorkerCommand.objects.filter(pk=order.pk).update(done_at=now())
    [move] = client.get(where, headers=reader).json()["results"]
    assert move["waits_for"] is None
    assert "waiting for second" not in text_of(page.get(reverse("store", args=[source.uuid])))


def test_a_store_is_away_though_another_tenant_has_one_of_its_name():
    gone = factories.worker("gone", seen_at=now() - timedelta(hours=1))
    kept = factories.store(gone, "archive", sectors=LOST_COUNTED_MAX + 2)
    factories.store(factories.worker("bobs", of="bob"), "archive", sectors=5_000)
    factories.worker("idle", of="carol", seen_at=now() - timedelta(hours=1))
    factories.sector(factories.miner(2000, of="bob"), state=SectorState.PROVING, store="archive")
    miner = factories.miner()
    for number in range(3):
        factories.sector(miner, number=number, state=SectorState.PROVING, store="archive")

    [finding] = stores_away(CheckData(SYSTEM))

    assert finding.say == "1 store with 3 sectors unreachable"
    assert finding.reason == "restart gone, or start another host that reads the same files"
    for number in range(3, LOST_COUNTED_MAX + 1):
        factories.sector(miner, number=number, state=SectorState.PROVING, store="archive")
    [finding] = stores_away(CheckData(SYSTEM))
    assert f"{kept.sectors} sectors unreachable" in finding.say


def test_files_left_lie_where_a_host_of_their_own_tenant_reaches_them(quiet, monkeypatch):
    SCENES["files_of_ended"](monkeypatch)
    assert files_left(CheckData(SYSTEM)).count() == 1
    Worker.objects.update(tenant=tenant("bob"))
    assert not files_left(CheckData(SYSTEM))


def test_a_store_that_is_full_is_not_said_to_fill_too(ann):
    box = prover()
    for name, condition, free in (("near", StoreCondition.READY, 1 << 30), ("full", StoreCondition.FULL, 0)):
        store = factories.store(box, name, condition=condition, free_bytes=free)
        store.samples.create(at=now() - timedelta(days=2), used_bytes=0)

    marks = store_marks(SYSTEM, now=now())
    rows = {row.row.name: row for row in checked_rows(stores_visible(SYSTEM, now=now()), now=now())}

    names = dict(Store.objects.values_list("pk", "name"))
    assert [names[pk] for pk in marks.filling] == ["near"]
    assert [names[pk] for pk in marks.faulty] == ["full"]
    assert rows["near"].left
    assert rows["full"].left == ""
