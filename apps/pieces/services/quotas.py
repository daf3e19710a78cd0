"""How many bytes a tenant's pieces may take: set by the operator, and held when pieces begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from apps.core.errors import BadValue
from apps.core.formatting import joined_size
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.pieces.errors import PieceQuotaExceeded
from apps.pieces.models import MinerStorage, PieceQuota
from apps.pieces.selectors import StorageUse, storage_use
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.services.tenant_management import tenants_manage_check

LIMIT_MAX: Final = 1 << 62
"""Bytes; as many as a size on a page may have."""
HELD: Final = """
    SELECT storage.miner_id, storage.held_bytes, coalesce(sum(
        pieces_bytes_held(piece.has_data, piece.payload_size, piece.padded_size, piece.miner_id)
    ), 0)
    FROM pieces_minerstorage storage LEFT JOIN pieces_piece piece ON piece.miner_id = storage.miner_id
    GROUP BY storage.miner_id ORDER BY storage.miner_id
"""
"""Miner, bytes as they are counted, bytes of its rows."""


@dataclass(frozen=True, slots=True)
class Miscount:
    """A miner whose bytes were counted wrong."""

    miner: str
    counted: int
    held: int


def quota_lock(tenant_id: int) -> None:
    """Lock a tenant's quota until the transaction ends."""
    Tenant.objects.select_for_update(no_key=True).filter(pk=tenant_id).first()


def quota_require(tenant_id: int, *, requested: int, field: str, is_stated: bool = True) -> None:
    """Refuse bytes that do not fit into a tenant's quota.

    What is counted of them must be written in the same transaction: until its end others that ask for the
    same tenant wait, so that two do not fit into the room of one.  Raises PieceQuotaExceeded.
    """
    use = storage_use(tenant_id)
    if not use.limit_bytes:
        return
    quota_lock(tenant_id)
    use = storage_use(tenant_id)
    if not use.has_room(requested):
        raise PieceQuotaExceeded(
            limit=use.limit_bytes, used=use.used_bytes, requested=requested, field=field, is_stated=is_stated
        )


@transaction.atomic
def piece_quota_set(tenant: Tenant, *, limit_bytes: int | None, by: Principal) -> StorageUse:
    """Set how many bytes a tenant's pieces may take: 0 for no limit, None for the pool's default.

    Pieces that are there stay.  Raises NotAllowed, BadValue.
    """
    tenants_manage_check(by)
    if limit_bytes is not None and not 0 <= limit_bytes <= LIMIT_MAX:
        raise BadValue(gettext("must be from 0 to {most}").format(most=LIMIT_MAX), field="limit_bytes")
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    before = storage_use(tenant.pk)
    if limit_bytes is None:
        PieceQuota.objects.filter(tenant=tenant).delete()
    else:
        PieceQuota.objects.update_or_create(tenant=tenant, defaults={"limit_bytes": limit_bytes})
    after = storage_use(tenant.pk)
    if (before.limit_bytes, before.is_default) != (after.limit_bytes, after.is_default):
        audit_record(
            principal=by,
            action="tenant.piece-quota",
            target=tenant.name,
            before={"piece_quota": _limit_text(before)},
            after={"piece_quota": _limit_text(after)},
        )
        publish(Change("piece", tenant.name, tenant.pk))
    return after


def _limit_text(use: StorageUse) -> str:
    """Return `500 GiB`, or that there is no limit, and whether it is the pool's default."""
    text = joined_size(use.limit_bytes) if use.limit_bytes else gettext_noop("no limit")
    return gettext("{limit} (the pool's default)").format(limit=text) if use.is_default else text


@transaction.atomic
def storage_reconcile() -> list[Miscount]:
    """Count the bytes of all pieces anew, and return where the count was wrong: nowhere, unless somebody
    changed rows while the triggers were off.

    Pieces that begin meanwhile wait for it.
    """
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE pieces_minerstorage IN EXCLUSIVE MODE")
        cursor.execute(
            "INSERT INTO pieces_minerstorage (miner_id, held_bytes) "
            "SELECT DISTINCT miner_id, 0 FROM pieces_piece ON CONFLICT DO NOTHING"
        )
        cursor.execute(HELD)
        wrong = [row for row in cursor.fetchall() if row[1] != row[2]]
    for key, _, held in wrong:
        MinerStorage.objects.filter(pk=key).update(held_bytes=held)
    names = {miner.pk: str(miner) for miner in Miner.objects.filter(pk__in=[key for key, *_ in wrong])}
    return [Miscount(names[key], counted, int(held)) for key, counted, held in wrong]
