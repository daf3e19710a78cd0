"""Why a sector is paused, and what was withdrawn, stand in columns: rows of before are read once."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.core.reasons import code_of
from apps.dashboard.pages.sectors.rows import sector_label
from apps.sectors.models import JobEvent, Sector
from apps.sectors.reasons import BALANCE_SHORT, TOO_MUCH
from apps.sectors.services.sealing.steps import sector_retry, sector_stop
from tests import factories
from tests.unit.apps.sectors.sealing import NOON

BEFORE = [("sectors", "0022_turns")]


@pytest.mark.django_db
def test_who_paused_a_sector_is_kept_until_it_goes_on() -> None:
    sector = factories.sector(factories.miner(), state="PC1_DONE")
    sector_stop(sector, actor="ann", now=NOON)
    sector.refresh_from_db()
    assert (sector.paused_by, sector.error) == ("ann", "paused by ann")
    sector_retry(sector, actor="bob", now=NOON)
    sector.refresh_from_db()
    assert (sector.paused_by, sector.paused_at) == ("", None)


@pytest.mark.django_db
@pytest.mark.parametrize(("by", "words"), [("", "failed in"), ("ann", "paused in")])
def test_no_word_of_an_error_says_who_paused_a_sector(by: str, words: str) -> None:
    error = "paused by the driver: out of memory"
    sector = factories.sector(factories.miner(), state="PC1_DONE", paused_at=NOON, paused_by=by, error=error)
    assert str(sector_label(sector, None).word).startswith(words)  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_rows_of_before_get_their_columns_however_often_it_is_begun() -> None:
    of = factories.miner()
    errors = {
        1: "paused by ann",
        2: "store deep lacks its files: cache/p_aux is missing",
        3: "no space left",
        4: "paused by ann",
    }
    for number, error in errors.items():
        paused_at = None if number == 4 else NOON
        factories.sector(of, number=number, state="PERSISTED", paused_at=paused_at, error=error)
    busy = Sector.objects.get(number=3)
    notes = (BALANCE_SHORT(), TOO_MUCH(), "the message ended with 16")
    for note in notes:
        facts = {"event": "FAIL_PRECOMMIT", "at": NOON, "note": note}
        JobEvent.objects.create(job=busy.job, from_state="", to_state="", **facts)

    MigrationExecutor(connection).migrate(BEFORE)
    call_command("migrate", "sectors", "0023_why_paused", verbosity=0, skip_checks=True)
    with connection.cursor() as cursor:  # killed half way
        cursor.execute("UPDATE sectors_sector SET paused_by = 'ann' WHERE number = 1")
    call_command("migrate", verbosity=0, skip_checks=True)

    known = dict(Sector.objects.values_list("number", "paused_by"))
    assert known == {1: "ann", 2: "", 3: "", 4: ""}
    assert dict(Sector.objects.values_list("number", "bad_store")) == {1: "", 2: "deep", 3: "", 4: ""}
    withdrawn = JobEvent.objects.filter(job=busy.job).order_by("pk").values_list("is_withdrawn", flat=True)
    assert list(withdrawn) == [True, True, False]
    codes = {row.number: code_of(row.error) for row in Sector.objects.filter(number__lt=4)}
    assert codes == {1: "sectors.paused_by", 2: "damocles.lacks_files", 3: "core.old"}
    noted = [code_of(row.note) for row in JobEvent.objects.filter(job=busy.job).order_by("pk")]
    assert noted == [BALANCE_SHORT.code, TOO_MUCH.code, "sectors.message_ended"]
