"""Stores for damocles-workers, which have the same disks mounted under the same names as the pool's hosts."""

from __future__ import annotations

from datetime import datetime

from apps.core.marked_texts import gettext
from apps.damocles.errors import NotThatFar
from apps.damocles.reasons import STORED_IN
from apps.damocles.services.files import files_check_start, sector_resume_stored, stored_files_read
from apps.damocles.services.sector_locks import SectorName, damocles_sector_lock
from apps.sectors.models import Sector, Store
from apps.sectors.selectors.stores import attachments_of, provers_of_store, stores_visible
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import SectorState


def damocles_store(principal: Principal, *, name: str, now: datetime) -> Store | None:
    """Return a store by its name."""
    return stores_visible(principal, now=now).filter(tenant_id=principal.own_id, name=name).first()


def store_path_find(store: Store) -> str:
    """Return where a host has a store."""
    return next((row.path for row in attachments_of(store)), "")


def damocles_persisted_submit(
    principal: Principal, *, name: SectorName, store_name: str, now: datetime
) -> bool:
    """Note in which store a worker has put a sector's files; False for a store that is not known.

    A prover looks at them there: until it has found them whole nothing is committed.
    Raises NotDamocles, NotThatFar.
    """
    store = Store.objects.filter(tenant_id=principal.own_id, name=store_name).first()
    if store is None:
        return False
    with damocles_sector_lock(principal, name=name, now=now) as one:
        one.go_on()
        sector_resume_stored(one)
        sector = one.sector
        if one.is_before(SectorState.PERSISTED):
            raise NotThatFar(
                gettext("{name} is {state}: its commitments were not submitted").format(
                    name=name, state=sector.state
                )
            )
        if sector.store == store.name:
            return True
        if sector.store and not one.is_before(SectorState.COMMIT_LANDED):
            raise NotThatFar(
                gettext("{name} is proven from store {store}: use a store move to change that").format(
                    name=name, store=sector.store
                )
            )
        if not provers_of_store(store, now=now):
            raise NotThatFar(
                gettext("no online prover can read store {store}: attach it to one first").format(
                    store=store.name
                )
            )
        Sector.objects.filter(pk=sector.pk).update(store=store.name, updated_at=now)
        sector.store = store.name
        one.record.reserved_store, one.record.reserved_bytes = "", 0
        one.note("STORED", STORED_IN(store=store.name))
        files_check_start(one.record, stored=stored_files_read(sector), now=now)
    return True
