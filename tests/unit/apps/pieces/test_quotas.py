"""The quota of a tenant's pieces: what counts, what is refused, and that the count is right."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from apps.core import clock
from apps.core.disk import DiskSpace
from apps.core.errors import BadValue, NotAllowed
from apps.miners.models import Miner
from apps.pieces.errors import PieceQuotaExceeded
from apps.pieces.models import MinerStorage, Piece, PieceQuota
from apps.pieces.selectors import storage_use
from apps.pieces.services.fetches import piece_fetch_begin
from apps.pieces.services.quotas import piece_quota_set, storage_reconcile
from apps.pieces.services.restored_data import data_drop, data_restore
from apps.pieces.services.uploads import PieceSpec, piece_fail, piece_remove, piece_upload, upload_begin
from apps.sectors.errors.jobs import NoRoomYet
from apps.sectors.models import Job
from apps.sectors.services.runs.unsealing import unseal_request, unsealed_store
from apps.users.models import AuditEntry
from tests import factories, people
from tests.unit.apps.pieces.old_rows import migrate_all, pieces_as_of

pytestmark = pytest.mark.django_db

SECTOR = 2032
"""Raw bytes of a sector of 2 KiB."""


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    return factories.miner(2001, of="alice")


def used(miner: Miner) -> int:
    return storage_use(miner.tenant_id).used_bytes


def limit(miner: Miner, count: int | None) -> None:
    piece_quota_set(miner.tenant, limit_bytes=count, by=people.principal("pool", "admin", is_operator=True))


def begin(miner: Miner, **spec: Any) -> Piece:
    return upload_begin(miner, spec=PieceSpec(**spec), by=people.principal(), is_resumable=True)


def fetch(miner: Miner, url: str = "https://a.example/x", **spec: Any) -> Piece:
    return piece_fetch_begin(miner, spec=PieceSpec(**spec), url=url, by=people.principal())[0]


def test_pieces_count_from_their_beginning_with_the_size_that_was_stated(miner: Miner) -> None:
    begin(miner, payload_size=300)
    fetch(miner, payload_size=200)
    fetch(miner, "https://a.example/y", padded_size=256)
    piece_upload(miner, spec=PieceSpec(), source=io.BytesIO(b"x" * 50), by=people.principal())

    assert used(miner) == 300 + 200 + 254 + 50


def test_a_piece_of_unknown_size_counts_as_a_whole_sector_until_it_came(miner: Miner) -> None:
    piece = fetch(miner)
    assert used(miner) == SECTOR == piece.most_bytes
    Piece.objects.filter(pk=piece.pk).update(payload_size=100)

    assert used(miner) == 100
    limit(miner, 1000)
    with pytest.raises(PieceQuotaExceeded, match="unknown size may have, do not fit: state its size"):
        fetch(miner, "https://a.example/z")


@pytest.mark.parametrize("begun", [begin, fetch])
def test_what_does_not_fit_is_refused_with_the_numbers(miner: Miner, begun: Any) -> None:
    limit(miner, 500)
    begin(miner, payload_size=300)

    with pytest.raises(PieceQuotaExceeded, match="300 B of at most 500 B, and 201 B more") as refusal:
        begun(miner, payload_size=201)
    assert (refusal.value.limit, refusal.value.used, refusal.value.requested) == (500, 300, 201)
    assert begun(miner, payload_size=200)
    assert used(miner) == 500


def test_bytes_that_go_make_room(miner: Miner) -> None:
    one, two, three = (begin(miner, payload_size=100) for _ in range(3))
    stored = factories.stored_piece(miner, state="ACTIVE", sector_number=1, offset=0)
    piece_remove(one, by=people.principal())
    piece_fail(fetch(miner, payload_size=70), reason="gone")
    assert used(miner) == 300
    data_drop(stored)

    assert used(miner) == two.most_bytes + three.most_bytes


def test_pieces_count_for_the_tenant_of_their_miner(miner: Miner) -> None:
    other = factories.miner(of="bob")
    limit(miner, 300)
    begin(other, payload_size=1000)
    begin(miner, payload_size=300)
    miner.tenant = other.tenant
    miner.save(update_fields=["tenant"])

    assert used(other) == 1300
    assert storage_use(people.tenant("alice").pk).used_bytes == 0


def test_the_tenants_own_limit_wins_over_the_pools(miner: Miner, settings: Any) -> None:
    settings.PIECE_QUOTA_BYTES = 0
    assert not storage_use(miner.tenant_id).limit_bytes
    settings.PIECE_QUOTA_BYTES = 100
    with pytest.raises(PieceQuotaExceeded):
        begin(miner, payload_size=101)
    limit(miner, 200)
    begin(miner, payload_size=101)
    limit(miner, 0)
    begin(miner, payload_size=SECTOR)
    limit(miner, None)

    assert storage_use(miner.tenant_id).is_default
    assert not PieceQuota.objects.exists()
    actions = AuditEntry.objects.filter(action="tenant.piece-quota").order_by("pk")
    told = [row.after["piece_quota"] for row in actions if row.after]
    assert told == ["200 B", "no limit", "100 B (the pool's default)"]


def test_only_the_operator_sets_a_quota(miner: Miner) -> None:
    with pytest.raises(NotAllowed):
        piece_quota_set(miner.tenant, limit_bytes=5, by=people.principal("alice", "admin"))
    with pytest.raises(BadValue):
        limit(miner, -1)


def sealed_piece(miner: Miner) -> Piece:
    """A piece whose bytes are in its sector alone."""
    sealed: dict[str, Any] = {"comm_d": bytes(32), "comm_r": bytes(32), "ticket": bytes(32)}
    factories.sector(miner, number=7, state="PROVING", store="store", **sealed)
    factories.worker(stores=["store"])
    data = {"has_data": False, "payload_size": 300, "sector_number": 7, "offset": 0}
    return factories.piece(miner, state="ACTIVE", **data)


def test_bytes_are_not_unsealed_beyond_the_quota(miner: Miner, tmp_path: Path) -> None:
    piece = sealed_piece(miner)
    limit(miner, 299)
    with pytest.raises(PieceQuotaExceeded, match="300 B more do not fit"):
        unseal_request(piece, now=clock.now())
    limit(miner, 300)
    job = unseal_request(piece, now=clock.now())
    Job.objects.update(stage="UPLOAD")
    begin(miner, payload_size=100)

    with pytest.raises(NoRoomYet, match="raise the quota"):  # which a host takes for a full disk, and waits
        unsealed_store(
            str(job.uuid), source=io.BytesIO(bytes(300)), token=job.lease_token, tenant_id=miner.tenant_id
        )
    assert [path.suffix for path in tmp_path.iterdir()] == []


def test_bytes_that_were_brought_back_count(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"x" * 100
    piece, _ = piece_upload(miner, spec=PieceSpec(), source=io.BytesIO(data), by=people.principal())
    data_drop(piece)
    assert used(miner) == 0
    Piece.objects.filter(pk=piece.pk).update(state="ACTIVE")

    data_restore(piece, source=io.BytesIO(data))

    assert used(miner) == 100


def test_the_count_is_that_of_the_rows_whatever_happens_to_them(miner: Miner) -> None:
    miners, random_of = [miner, factories.miner(of="bob")], random.Random(7)
    for _ in range(200):
        row = Piece.objects.order_by("?").first()
        size = random_of.choice([None, random_of.randrange(1, SECTOR)])
        padded = random_of.choice([0, 128, 2048])
        data = {"payload_size": size, "padded_size": padded, "has_data": random_of.random() < 0.7}
        act = random_of.randrange(4)
        if row is None or act == 0:
            factories.piece(random_of.choice(miners), state="UPLOADING", **data)
        elif act == 1:
            row.delete()
        elif act == 2:
            Piece.objects.filter(pk=row.pk).update(**data)
        else:
            Piece.objects.filter(pk=row.pk).update(miner=random_of.choice(miners))

    for one in miners:
        rows = Piece.objects.filter(miner=one, has_data=True).select_related("miner")
        assert used(one) == sum(row.most_bytes for row in rows)
    assert storage_reconcile() == []


def test_a_wrong_count_is_found_and_put_right(miner: Miner, capsys: pytest.CaptureFixture[str]) -> None:
    begin(miner, payload_size=300)
    call_command("pieces", "recount")
    MinerStorage.objects.update(held_bytes=7)
    call_command("pieces", "recount")
    MinerStorage.objects.all().delete()
    call_command("pieces", "recount")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "all counts are right"
    assert [line.partition(": ")[2] for line in lines[1:]] == [
        f"{count} bytes were counted, its pieces have 300" for count in (7, 0)
    ]
    assert used(miner) == 300


@pytest.mark.django_db(transaction=True)
def test_pieces_from_before_the_quotas_are_counted() -> None:
    miner = factories.miner()
    old = pieces_as_of("0008_source_urls_shown")
    for has_data in (True, False):
        old.objects.create(miner_id=miner.pk, **factories.piece_fields(has_data=has_data))

    migrate_all(by_way_of="0009_quotas")

    assert used(miner) == 100


def test_a_tenant_without_a_quota_may_fill_half_of_the_disk(
    miner: Miner, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DISK_RESERVE_BYTES = 200
    monkeypatch.setattr("apps.pieces.selectors.disk_space", lambda _: DiskSpace(free=900, total=1000))

    begin(miner, payload_size=400)
    with pytest.raises(PieceQuotaExceeded):
        begin(miner, payload_size=1)

    assert storage_use(people.tenant("bob").pk).limit_bytes == 400
    assert storage_use(people.tenant("pool").pk).limit_bytes == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("default", "limits"), [(-1, [0]), (0, []), (100, [])])
def test_tenants_with_data_keep_what_they_had_when_the_default_came(
    miner: Miner, settings: Any, default: int, limits: list[int]
) -> None:
    settings.PIECE_QUOTA_BYTES = 0
    factories.miner(2002, of="bob")
    begin(miner, payload_size=10)
    pieces_as_of("0012_leftovers")
    settings.PIECE_QUOTA_BYTES = default

    migrate_all(by_way_of="0013_quotas_as_before")

    rows = PieceQuota.objects.filter(tenant=miner.tenant)
    assert list(rows.values_list("limit_bytes", flat=True)) == limits
    assert not PieceQuota.objects.filter(tenant__name="bob").exists()
