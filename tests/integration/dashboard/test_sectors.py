"""Sectors on the pages: retry, back, abort, and the list with its filters."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.urls import reverse

from apps.core.clock import now
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.change_form import ChangeForm, picked
from apps.dashboard.pages.sectors.rows import EXPIRED, sector_label
from apps.sectors.models import Job, Sector, WorkerCommand
from apps.sectors.selectors.failures import failures_grouped
from apps.sectors.services.files.removals import removals_note
from apps.sectors.services.sealing.steps import sector_abort
from apps.users.rules.principals import SYSTEM
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.demo_data import busy_pool
from tests.page_client import HTMX, signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]


def test_retry_answers_with_the_page_head(ann):
    pool = busy_pool()

    answer = signed_in().post(
        reverse("sector-retry", args=[pool.paused.uuid]), headers={**HTMX, "HX-Target": "f-sector-head"}
    )

    assert answer.status_code == 200
    assert 'id="f-sector-head"' in text_of(answer)
    assert Sector.objects.get(pk=pool.paused.pk).paused_at is None


def test_retry_without_script_leads_back(ann):
    pool = busy_pool()

    answer = signed_in().post(reverse("sector-retry", args=[pool.paused.uuid]))

    assert answer.headers["Location"] == reverse("sector", args=[pool.paused.uuid])


@pytest.mark.parametrize("first", "ft")
def test_a_sector_is_found_by_miner_and_number(ann, first):
    row = factories.sector(factories.miner(1004), number=1)
    factories.sector(factories.miner(1005, of="bob"), number=1)
    browser = signed_in()

    answer = browser.get(f"/sectors/{first}01004-1/")
    assert (answer.status_code, answer["Location"]) == (302, reverse("sector", args=[row.uuid]))
    for unknown in (f"{first}01004-2", f"{first}01005-1", "x01004-1", "no-such"):
        assert browser.get(f"/sectors/{unknown}/").status_code == 404


def test_a_paused_sector_is_not_said_to_have_failed(ann):
    pool = busy_pool()
    browser, page = signed_in(), reverse("sector", args=[pool.sealing.uuid])
    assert reverse("sector-pause", args=[pool.sealing.uuid]) in text_of(browser.get(page))

    answer = browser.post(reverse("sector-pause", args=[pool.sealing.uuid]))
    shown = text_of(browser.get(page))

    assert answer.headers["Location"] == page
    assert "Paused by" in shown
    assert "failed" not in shown[shown.index("<h1>") : shown.index("Timeline")]
    assert "paused in" in text_of(browser.get(reverse("sectors") + "?state=paused"))
    assert "paused in" not in text_of(browser.get(reverse("sectors") + "?state=failed"))
    assert pool.sealing.pk not in {row.pk for group in failures_grouped(SYSTEM) for row in group.sectors}
    told = browser.get(f"/api/v1/sectors/{pool.sealing.uuid}").json()
    assert (told["paused"], told["paused_by"]) == (True, "ann")
    assert reverse("sector-retry", args=[pool.sealing.uuid]) in shown


def test_stage_is_ended_once_that_is_confirmed(ann):
    pool = busy_pool()
    browser, page = signed_in(), reverse("sector", args=[pool.sealing.uuid])
    ends = reverse("sector-end-stage", args=[pool.sealing.uuid])
    assert ends in text_of(browser.get(page))

    assert "and end its stage?" in text_of(browser.get(ends))
    assert "and end its stage?" in text_of(browser.post(ends))
    assert not WorkerCommand.objects.filter(op="end_stage").exists()
    assert browser.post(ends, {"sure": "yes"}).headers["Location"] == page

    assert WorkerCommand.objects.filter(op="end_stage").count() == 1
    assert "Its host ordered to end the stage" in text_of(browser.get(page))
    assert ends not in text_of(browser.get(page)).split("Timeline")[0]


def test_a_refused_retry_says_why_in_the_list(ann):
    pool = busy_pool()

    answer = signed_in().post(reverse("sector-retry", args=[pool.active.uuid]), headers=HTMX)

    assert answer.status_code == 422
    assert f'id="f-sector-{pool.active.uuid}-refusal"' in text_of(answer)
    assert "is not paused" in text_of(answer)


def test_a_refused_retry_without_script_says_why_on_the_page(ann):
    pool = busy_pool()

    answer = signed_in().post(reverse("sector-retry", args=[pool.active.uuid]))

    assert answer.status_code == 422
    assert "is not paused" in text_of(answer)
    assert "<h1>" in text_of(answer)


def test_a_tenant_without_a_host_is_told_so(ann):
    factories.head(1000)
    factories.worker("theirs", of="bob")
    sector = factories.sector(factories.miner(), state=SectorState.ALLOCATED)

    before = text_of(signed_in().get(reverse("sectors")))
    page = text_of(signed_in().get(reverse("sector", args=[sector.uuid])))
    factories.worker("ours", of="alice")
    after = text_of(signed_in().get(reverse("sectors")))

    assert "waiting for a sealing host of alice: none has registered" in before
    assert "Waiting for a sealing host of alice: none has registered." in page
    assert "waiting for a worker with a free slot" in after


def test_what_expires_soon_is_found(ann):
    epoch = factories.head(1000).height
    miner = factories.miner()
    soon = factories.sector(miner, state=SectorState.PROVING, expiration=epoch + 86_400)
    late = factories.sector(miner, state=SectorState.PROVING, expiration=epoch + 40 * 86_400)

    over = factories.sector(miner, state=SectorState.PROVING, active=False, expiration=epoch - 5)

    text = text_of(signed_in().get(reverse("sectors"), {"state": "expiring"}))

    assert f"/sectors/{soon.uuid}/" in text
    assert f"/sectors/{late.uuid}/" not in text
    assert f"/sectors/{over.uuid}/" not in text, "its life is over"
    assert "1 sector expires within 30 d" in text


def test_back_sets_an_earlier_state(ann):
    pool = busy_pool()

    signed_in().post(reverse("sector-back", args=[pool.paused.uuid, SectorState.ALLOCATED]))

    assert Sector.objects.get(pk=pool.paused.pk).state == SectorState.ALLOCATED


@pytest.mark.parametrize("state", ["PROVING", "nonsense", "COMMIT_SENT"])
def test_back_goes_only_where_the_table_leads(ann, state):
    pool = busy_pool()

    answer = signed_in().post(reverse("sector-back", args=[pool.paused.uuid, state]))

    assert answer.status_code == 422
    assert Sector.objects.get(pk=pool.paused.pk).state == SectorState.PC1_DONE


def test_abort_asks_first(ann):
    pool = busy_pool()
    address = reverse("sector-abort", args=[pool.paused.uuid])
    client = signed_in()

    asked, unsure = client.get(address), client.post(address)
    untyped = client.post(address, {"sure": "yes", "confirm": f"abort {pool.paused.number + 1}"})

    assert "Its number will not be reused" in text_of(asked)
    assert unsure.status_code == 200
    assert untyped.status_code == 422
    assert f"type “abort {pool.paused.number}” to confirm" in text_of(untyped)
    assert Sector.objects.get(pk=pool.paused.pk).state == SectorState.PC1_DONE


def test_abort_gives_the_sector_up(ann):
    pool = busy_pool()

    sure = {"sure": "yes", "reason": "disk broken", "confirm": f"abort {pool.paused.number}"}
    answer = signed_in().post(reverse("sector-abort", args=[pool.paused.uuid]), sure)

    assert answer.status_code == 302
    assert Sector.objects.get(pk=pool.paused.pk).state == SectorState.ABORTED
    assert "disk broken" in text_of(signed_in().get(reverse("sector", args=[pool.paused.uuid])))


def test_removed_files_are_in_the_timeline_and_are_no_stage(ann):
    pool = busy_pool()
    host = factories.worker(stores=["store-1"])
    Job.objects.filter(sector=pool.paused).update(sticky_worker=host)
    sector_abort(pool.paused, actor="ann", reason="disk broken", now=now())
    removals_note(host, commands=[str(host.commands.get().uuid)], now=now())

    text = text_of(signed_in().get(reverse("sector", args=[pool.paused.uuid])))

    assert "Files removed by the host" in text
    stages = text[text.index(">Stages<") : text.index(">Timeline<")]
    assert "Aborted" not in stages


def test_a_proving_sector_cannot_be_aborted(ann):
    pool = busy_pool()

    sure = {"sure": "yes", "confirm": f"abort {pool.active.number}"}
    answer = signed_in().post(reverse("sector-abort", args=[pool.active.uuid]), sure)

    assert answer.status_code == 422
    assert "Not aborted." in text_of(answer)


def test_sectors_come_in_pages_without_gaps(ann):
    miner = factories.miner()
    for number in range(120):
        factories.sector(miner, number=number)
    client, path, seen = signed_in(), "/sectors/", []

    while path:
        answer = client.get(path)
        seen += [line.row.row.number for line in answer.context["lines"]]
        older = answer.context["pager"].older
        path = "/sectors/" + older if older else ""

    assert seen == list(range(119, -1, -1))


@pytest.mark.parametrize(
    ("state", "numbers"),
    [
        ("", {0, 1, 2, 3, 4, 5, 6, 7, 8}),
        ("work", {3, 4, 5, 6, 7}),
        ("paused", {4}),
        ("active", {0}),
        ("sealed", {1, 2}),
        ("aborted", {8}),
        ("nonsense", set()),
    ],
)
def test_sectors_are_filtered_by_state(ann, state, numbers):
    busy_pool()

    answer = signed_in().get("/sectors/", {"state": state})

    assert {line.row.row.number for line in answer.context["lines"]} == numbers


@pytest.mark.parametrize(
    ("q", "numbers"), [("4", {4}), (" 4 ", {4}), ("99", set()), ("x", set()), ("9" * 30, set())]
)
def test_sectors_are_found_by_number(ann, q, numbers):
    busy_pool()

    answer = signed_in().get("/sectors/", {"q": q})

    assert {line.row.row.number for line in answer.context["lines"]} == numbers


def test_the_list_is_narrowed_by_miner_host_and_store_and_bulk_acts_too(ann):
    miner, host = (
        factories.miner(2001, of="alice"),
        factories.worker("seal-7"),
    )
    one = factories.sector(miner, state="PROVING", active=True, store="disk-2", number=71)
    two = factories.sector(miner, state="PC1_DONE", held_by=host, number=72)
    other = factories.sector(factories.miner(2002, of="alice"), state="PROVING", active=True, number=73)
    page, browser = reverse("sectors"), signed_in()

    def shown(query: str) -> set[str]:
        text = text_of(browser.get(f"{page}?{query}"))
        return {str(row.number) for row in (one, two, other) if f'/sectors/{row.uuid}/"' in text}

    assert shown("") == {"71", "72", "73"}
    assert shown("miner=f02001") == {"71", "72"}
    assert shown("host=seal-7") == {"72"}
    assert shown("store=disk-2") == {"71"}
    assert shown("miner=f09999") == set()
    text = text_of(browser.get(f"{page}?store=disk-2"))
    assert "state=active&amp;store=disk-2" in text, "a facet keeps the others"
    assert '<input type="hidden" name="store" value="disk-2">' in text, "what is done to all that match"
    lines = text_of(browser.get(reverse("sectors-csv") + "?store=disk-2")).splitlines()
    assert [line.split(",")[2] for line in lines[1:]] == ["71"]


def test_what_is_done_to_all_that_match_keeps_to_the_filter(ann):
    miner = factories.miner(2001, of="alice")
    one, _ = (
        factories.sector(miner, state="PROVING", active=True, store=name) for name in ("disk-2", "disk-3")
    )
    form = ChangeForm({"all": "1", "store": "disk-2"})
    assert form.is_valid()

    assert picked(form, SYSTEM, PageData(SYSTEM)) == [one]
    assert ("store", "disk-2") in form.selection_fields()


def test_the_bar_of_picked_sectors_has_only_its_own_acts(ann):
    factories.sector(factories.miner(2001, of="alice"), state="PROVING", active=True)

    text = text_of(signed_in().get(reverse("sectors")))

    bar = text[text.index('id="selection"') :].partition("</form>")[0]
    assert "Extend…" in bar
    assert 'name="csrfmiddlewaretoken"' in bar
    assert "CSV" not in bar, "the page's own link to the list as CSV is above"
    assert "CSV" in text


def test_filter_for_sectors_that_are_not_active_says_so(ann):
    busy_pool()
    ended = {"expiration": 1, "store": "disk-2"}, {"files_lost_at": now()}
    for facts in ended:
        factories.sector(factories.miner(of="alice"), state="PROVING", active=False, **facts)

    answer = signed_in().get("/sectors/", {"state": "sealed"})

    labels = {str(line.row.label.word) for line in answer.context["lines"]}
    assert labels >= {"faulty", "expired", "files lost", "awaiting first proof"}
    [chip] = re.findall(r'<a [^>]*aria-current="[^"]*"[^>]*>(?:(?!</a>).)*Not active', text_of(answer))
    assert "state=sealed" in chip


def test_an_expired_sector_without_files_is_expired():
    busy_pool()
    sector = factories.sector(
        factories.miner(2009), state="PROVING", active=False, expiration=1, files_lost_at=now()
    )

    assert sector_label(sector, PageData(SYSTEM)) == EXPIRED


@pytest.mark.parametrize(("page", "args"), [("sectors-change", ["terminate"]), ("sectors-remove-files", [])])
def test_a_form_names_as_many_sectors_as_one_request_takes(ann, page, args):
    sent = {"id": [str(uuid4()) for _ in range(1_000)], "sure": "yes", "count": "1000", "confirm": ""}

    answer = signed_in().post(reverse(page, args=args), sent)

    assert answer.status_code == 422, "none of these sectors is here"
