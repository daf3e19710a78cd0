"""What the signer would refuse of a termination is said before it is asked for, by page and command."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.miners.models import Miner
from apps.sectors.models import Sector, SectorChange
from tests.integration.dashboard.withdrawals import signer_says
from tests.page_client import signed_in, text_of
from tests.people import person

WHY = "would refuse miner.TerminateSectors: no rule allows message"


def test_a_termination_says_what_its_signer_would_refuse(
    pair: tuple[Miner, list[Sector]], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner, sectors = pair
    person("ann", of="alice")
    ids = {"id": [str(one.uuid) for one in sectors]}
    browser, page = signed_in("ann"), reverse("sectors-change", args=["terminate"])
    asked = signer_says(monkeypatch, "no rule allows message")

    review = text_of(browser.post(page, ids))

    assert WHY in review
    assert "the message waits and is retried until its signer accepts it" in review
    [sender] = {str(message.from_) for _, message in asked}
    assert f'href="{reverse("policy", args=[sender])}"' in review, "where a rule is added"
    assert {str(message.to) for _, message in asked} == {miner.address}
    assert not SectorChange.objects.exists()
    signer_says(monkeypatch)
    assert "would refuse" not in text_of(browser.post(page, ids))
