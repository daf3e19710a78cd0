"""Page Allocations: what clients want stored, where it is here, and one click to take the rest."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from apps.core.clock import now
from apps.sectors.models import AllocationsRead
from apps.users.states import Role
from tests import factories, verified_rows
from tests.page_client import signed_in, text_of
from tests.people import person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

DAY = 2880


def read(**changes: object) -> None:
    fields = {"due_at": now(), "all_due_at": now(), "read_at": now(), "height": 999, "is_of_all": True}
    AllocationsRead.objects.create(pk=1, **(fields | changes))


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_the_list_says_what_is_missing_and_what_is_where(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    sector = factories.sector(miner, number=5)
    near, far, held, over = (
        verified_rows.allocation(miner, expiration=1000 + 30 * DAY * days + 100) for days in (0, 1, 2, 3)
    )
    type(over).objects.filter(pk=over.pk).update(expiration=1000)
    factories.piece(miner, state="PACKED", client=1010, allocation=held.number, sector_number=5, offset=0)
    foreign = verified_rows.allocation(factories.miner(2002, of="bob"))
    read()

    text = text_of(signed_in().get(reverse("allocations")))

    for number, is_takable in ((near, True), (far, True), (held, False), (over, False)):
        assert (f'id="take-{number.number}"' in text) is is_takable
    assert f">{foreign.number}<" not in text
    assert f'href="/sectors/{sector.uuid}/"' in text
    assert f'href="/pieces/?take={near.number}#f-piece-upload"' in text
    cid = held.piece_cid
    assert f'<a href="/pieces/?piece_cid={cid}"><span class="id" title="{cid}">' in text
    shown = plain(text)
    assert "being sealed" in shown
    assert "180 to 540 days" in shown
    assert "f01010" in shown
    assert "Read from the chain" in shown
    listed = plain(text_of(signed_in().get(reverse("allocations"), {"state": "expired"})))
    assert f" {over.number} " in listed
    assert f" {near.number} " not in listed


def test_one_click_leads_to_the_upload_with_all_that_the_chain_says(ann: None) -> None:
    row = verified_rows.allocation(factories.miner(2001, of="alice"))

    text = text_of(signed_in().get(reverse("pieces"), {"take": row.number}))

    assert f"Data of allocation {row.number}" in text
    form = text[text.index('id="f-upload"') :].partition("</form>")[0]
    for name, value in {
        "client": "f01010",
        "allocation": row.number,
        "announced": row.piece_cid,
        "padded_size": row.size,
    }.items():
        [field] = re.findall(rf'<input[^>]*name="{name}"[^>]*>', form)
        assert f'value="{value}"' in field
    assert re.search(r'<option value="f02001"\s+selected', form)


def test_an_allocation_that_is_gone_or_anothers_is_said_to_be_unknown(ann: None) -> None:
    factories.miner(2001, of="alice")
    row = verified_rows.allocation(factories.miner(2002, of="bob"))

    text = text_of(signed_in().get(reverse("pieces"), {"take": row.number}))

    assert f"there is no allocation {row.number}" in text
    assert "Data of allocation" not in text


def test_who_may_only_look_takes_nothing(db: None) -> None:
    person("eve", role=Role.AUDITOR)
    row = verified_rows.allocation(factories.miner(2001, of="alice"))

    text = text_of(signed_in("eve").get(reverse("allocations")))

    assert f">{row.number}<" in text
    assert 'id="take-' not in text


def test_empty_and_failed_reads_say_why(ann: None) -> None:
    factories.miner(2001, of="alice")
    browser, page = signed_in(), reverse("allocations")
    assert "Not read yet" in text_of(browser.get(page))
    read(error="no node answers")
    text = plain(text_of(browser.get(page)))
    assert "No allocations for these miners" in text
    assert "The last read failed: no node answers." in text
    AllocationsRead.objects.update(error="", is_of_all=False, clients=3)
    assert "those of 3 known clients were read" in plain(text_of(browser.get(page)))
    assert "No matching allocations" in text_of(browser.get(page, {"state": "here"}))
    assert "must be an f0 address" in text_of(browser.get(page, {"client": "me"}))


def test_pages_follow_one_another_and_the_csv_has_all(ann: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 2)
    monkeypatch.setattr("apps.dashboard.pages.verified.allocations.CHUNK", 2)
    miner = factories.miner(2001, of="alice")
    rows = [verified_rows.allocation(miner, expiration=2000) for _ in range(3)]
    failed = factories.piece(miner, state="FAILED", client=1010, allocation=rows[2].number)
    browser = signed_in()

    first = text_of(browser.get(reverse("allocations")))
    [older] = re.findall(r'href="(\?cursor=[^"]*)"', first)
    second = text_of(browser.get(reverse("allocations") + older))

    for row in rows[:2]:
        assert f'id="take-{row.number}"' in first
        assert f'id="take-{row.number}"' not in second
    assert f'id="take-{rows[2].number}"' in second
    assert "failed" in plain(second)
    lines = text_of(browser.get(reverse("allocations-csv"))).splitlines()
    assert len(lines) == 4
    assert lines[3].endswith(f"518400,1555200,2000,missing,{failed.state},")
