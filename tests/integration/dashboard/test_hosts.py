"""Hosts on the page: pause, and commands that it does not give."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.sectors.models import WorkerCommand
from tests import factories
from tests.visits import HTMX, signed_in, text_of

pytestmark = pytest.mark.django_db


def test_pause_is_asked_for_and_shown(ann):
    worker = factories.worker()

    answer = signed_in().post(reverse("host-act", args=[worker.uuid, "pause"]), headers=HTMX)

    assert answer.status_code == 200
    assert "pauses with its next heartbeat" in text_of(answer)
    assert WorkerCommand.objects.get().op == "pause"


def test_without_script_it_leads_back(ann):
    worker = factories.worker()

    answer = signed_in().post(reverse("host-act", args=[worker.uuid, "pause"]))

    assert answer.headers["Location"] == reverse("hosts")


@pytest.mark.parametrize("op", ["drain", "set_plan", "nonsense"])
def test_other_commands_have_no_address(ann, op):
    worker = factories.worker()

    assert signed_in().post(reverse("host-act", args=[worker.uuid, op])).status_code == 404
