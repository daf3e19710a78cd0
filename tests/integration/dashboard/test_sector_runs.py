"""A rebuild from the sector's page: the question, the run, its stop, retry and abort; who may not."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.clock import now
from apps.sectors.models import Job, PipelineRun, Sector
from apps.sectors.services.runs.steps import run_fail
from apps.users.models import AuditEntry
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import STAGED
from tests import factories, people
from tests.integration.dashboard.withdrawals import signer_says
from tests.page_client import HTMX, refusal_kept, signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def sector(ann):  # the person whose sector it is
    miner = factories.miner()
    factories.worker("host-a", stores=["store-1"], kinds=[str(kind) for kind in STAGED])
    return factories.sector(
        miner,
        state="PROVING",
        active=True,
        store="store-1",
        ticket=bytes(32),
        comm_r=bytes([1]) * 32,
        comm_d=sha254_zero(2048),
    )


def page(sector: Sector) -> str:
    return text_of(signed_in().get(reverse("sector", args=[sector.uuid])))


def test_a_rebuild_is_asked_about_begun_retried_and_aborted(sector):
    address, client = reverse("sector-rebuild", args=[sector.uuid]), signed_in()
    assert "Snap up…" in page(sector)

    asked = text_of(client.get(address))
    assert "its ticket and zeros" in asked
    assert "host-a" in asked
    assert not PipelineRun.objects.exists()
    assert client.post(address, {"sure": "yes"}).status_code == 302
    run = PipelineRun.objects.get()
    assert "Rebuild: Add piece." in page(sector)
    assert "Rebuild started" in page(sector)
    assert "Snap up…" not in page(sector)
    again = client.post(address, {"sure": "yes"})
    assert (again.status_code, "already in progress" in text_of(again)) == (422, True)

    run_fail(Job.objects.get(pk=run.job_id), error="the disk is full", attempts=5, now=now())
    assert "Rebuild stopped at Add piece: the disk is full." in page(sector)
    retried = client.post(reverse("sector-run-retry", args=[sector.uuid, "rebuild"]))
    assert retried.status_code == 302
    assert PipelineRun.objects.get().paused_at is None

    end = reverse("sector-run-abort", args=[sector.uuid, "rebuild"])
    assert "Abort the rebuild" in text_of(client.get(end))
    assert client.post(end, {"sure": "yes"}).status_code == 302
    assert PipelineRun.objects.get().state == "REBUILD_ABORTED"
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"sector.rebuild", "sector.rebuild-retry", "sector.rebuild-abort"} <= actions


def test_what_would_hold_a_faulty_sectors_recovery_up_is_said_before(sector, monkeypatch):
    seen = signer_says(monkeypatch, "no rule allows it")
    debt = 3 * factories.FIL
    type(sector.miner).objects.update(fee_debt=debt)
    factories.approval_rule(actor="miner", method=Method.DECLARE_FAULTS_RECOVERED, above=debt - 1)
    headers = people.bearer(people.token("sign", of="alice"))

    def told():
        path = f"/api/v1/sectors/{sector.uuid}/rebuild?dry_run=true"
        answer = Client().post(path, headers=headers)
        assert answer.status_code == 200, answer.content
        return answer.json()["signer"], answer.json()["approval"]

    assert told() == ("", ""), "an active sector sends no recovery"
    type(sector).objects.update(active=False, deadline=3, partition=1)
    signer, approval = told()
    review = text_of(signed_in().get(reverse("sector-rebuild", args=[sector.uuid])))

    assert "would refuse DeclareFaultsRecovered: no rule allows it" in signer
    assert approval.startswith("miner DeclareFaultsRecovered above")
    assert signer in review
    assert f"waits for a second person: {approval}" in review
    assert {int(message.value) for _, message in seen} == {debt}
    assert not PipelineRun.objects.exists()


def test_a_retry_answers_the_page_with_its_head(sector):
    client = signed_in()
    client.post(reverse("sector-rebuild", args=[sector.uuid]), {"sure": "yes"})
    job = Job.objects.get(pk=PipelineRun.objects.get().job_id)
    run_fail(job, error="the disk is full", attempts=5, now=now())
    retry = reverse("sector-run-retry", args=[sector.uuid, "rebuild"])

    answers = [client.post(retry, headers={**HTMX, "HX-Target": "f-sector-head"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 422]
    for answer in answers:
        assert text_of(answer).strip().startswith('<div class="page-head" id="f-sector-head"')
        assert "<main" not in text_of(answer)
    assert 'role="alert"' in text_of(answers[1])


@pytest.mark.parametrize(
    ("name", "rest"), [("sector-run-retry", ["rebuild"]), ("sector-rebuild", []), ("sector-retry", [])]
)
def test_a_refused_act_leaves_a_page_that_follows_changes(sector, name, rest):
    client = signed_in()
    client.post(reverse("sector-rebuild", args=[sector.uuid]), {"sure": "yes"})

    answer = client.post(reverse(name, args=[sector.uuid, *rest]), {"sure": "yes"})

    assert answer.status_code == 422
    refusal_kept(answer, own=reverse("sector", args=[sector.uuid]), client=client)


def test_what_cannot_be_is_said_on_the_page(sector):
    answer = signed_in().get(reverse("sector-snap-up", args=[sector.uuid]))

    assert answer.status_code == 422
    type(sector).objects.filter(pk=sector.pk).update(ticket=None)
    refused = signed_in().get(reverse("sector-rebuild", args=[sector.uuid]))
    assert "does not know its ticket" in text_of(refused)


def test_another_tenant_and_a_reader_cannot(sector):
    people.person("bob", of="bob")
    people.person("anna", role="AUDITOR")

    for name in ("bob", "anna"):
        for verb in ("sector-rebuild", "sector-snap-up"):
            answer = signed_in(name).post(reverse(verb, args=[sector.uuid]), {"sure": "yes"})
            assert answer.status_code == 404, (name, verb)
    assert not PipelineRun.objects.exists()
