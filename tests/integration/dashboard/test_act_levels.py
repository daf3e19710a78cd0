"""An act on a sector or a host needs one level, on its page as over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from django.urls import reverse

from apps.api.access_table import endpoints
from apps.core.clock import now
from apps.users.states import PERMS, ROLE_PERMS, Role
from tests import factories
from tests.page_client import signed_in, text_of

if TYPE_CHECKING:
    from apps.sectors.host_models import Worker
    from apps.sectors.models import Sector

pytestmark = pytest.mark.django_db

SECTOR_ACTS: Final = {
    "sector-retry": ("POST", "sectors/<str:uuid>/retry"),
    "sector-pause": ("POST", "sectors/<str:uuid>/pause"),
    "sector-abort": ("POST", "sectors/<str:uuid>/abort"),
    "sector-state-set": ("PUT", "sectors/<str:uuid>/state"),
    "sector-restore": ("POST", "sectors/<str:uuid>/restore"),
    "sector-snap-up": ("POST", "sectors/<str:uuid>/snap-up"),
    "sector-rebuild": ("POST", "sectors/<str:uuid>/rebuild"),
}
"""Page and REST row of acts on one sector."""
HOST_ACTS: Final = {
    "host-setting": ("PUT", "workers/<str:uuid>/settings"),
    "host-group": ("PUT", "workers/<str:uuid>/group"),
    "host-retire": ("DELETE", "workers/<str:uuid>"),
}
OTHERS: Final = {
    "pledge": ("POST", "miners/<str:address>/sectors"),
    "host-settings": ("PUT", "host-settings"),
    "sectors-remove-files": ("POST", "sectors:remove-files"),
    "sectors-snap-up": ("POST", "sectors:snap-up"),
}
LEVELS: Final = {(row.method, row.path): row.level for row in endpoints() if row.interface == "rest"}


@pytest.fixture
def sector() -> Sector:
    return factories.sector(
        factories.miner(2001, of="alice"), state="PC1_DONE", paused_at=now(), error="killed"
    )


@pytest.fixture
def host() -> Worker:
    return factories.worker("box")


@pytest.mark.parametrize("level", PERMS)
def test_a_page_lets_in_whom_its_rest_row_lets_in(
    ann: None, sector: Sector, host: Worker, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLE_PERMS, Role.TENANT, level)
    browser, wrong = signed_in(), {}
    acts = {reverse(name, args=[sector.uuid]): row for name, row in SECTOR_ACTS.items()}
    acts |= {reverse(name, args=[host.uuid]): row for name, row in HOST_ACTS.items()}
    acts |= {reverse(name): row for name, row in OTHERS.items()}
    acts[reverse("sector-back", args=[sector.uuid, "ALLOCATED"])] = SECTOR_ACTS["sector-retry"]
    acts[reverse("host-command", args=[host.uuid, "pause"])] = ("POST", "workers/<str:uuid>/commands")
    acts[reverse("sectors-failures-retry", args=["none"])] = (
        "POST",
        "sector-failures/<str:fingerprint>/retry",
    )
    for change in ("extend", "terminate"):
        acts[reverse("sectors-change", args=[change])] = ("POST", f"sectors/<str:uuid>/{change}")

    for page, (method, path) in acts.items():
        needed = LEVELS[method, f"/api/v1/{path}"]
        is_let_in = browser.post(page).status_code != 404
        if is_let_in != (PERMS.index(level) >= PERMS.index(needed)):
            wrong[page] = (needed, is_let_in)

    assert not wrong


@pytest.mark.parametrize(
    ("level", "shown"),
    [("read", ()), ("write", ("sector-retry",)), ("sign", ("sector-retry", "sector-abort"))],
)
def test_a_page_offers_what_its_viewer_may_do(
    ann: None, sector: Sector, level: str, shown: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLE_PERMS, Role.TENANT, level)

    page = text_of(signed_in().get(reverse("sector", args=[sector.uuid])))

    names = ("sector-retry", "sector-abort")
    assert tuple(name for name in names if reverse(name, args=[sector.uuid]) in page) == shown
