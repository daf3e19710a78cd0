"""A miner moves in and out by page, REST and command: the same steps and heights, each act after a review."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.chain.errors import NodeUnavailable
from apps.core.clock import now
from apps.miners.models import Miner
from apps.sectors.models import SealTarget, SectorNumbers
from apps.users.models import AuditEntry
from poolsite.filecoin.actors.miner import Method
from tests import factories, people
from tests.integration.dashboard.withdrawals import signer_says
from tests.page_client import left_open, signed_in, text_of
from tests.unit.apps.moves.moving import (
    MovingChain,
    adopted,
    chain_served,
    moving,
    policy_allows,
    signed_for,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("time_stands_still")]

PATH = "/api/v1/miners/f01000/move"


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> MovingChain:
    """A miner of alice's that lotus-miner has; its sectors have rows, its key is in a signer."""
    miner = moving()
    adopted(miner)
    signed_for(miner)
    for place in ("apps.api.v1.miner_moves", "apps.dashboard.pages.miners.move"):
        monkeypatch.setattr(f"{place}.numbers_allocated", lambda *_given: [range(42)])
    return chain_served(monkeypatch)


def rest(method: str, body: Any = None, *, perm: str = "sign", of: str = "alice", query: str = "") -> Any:
    data = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    headers = people.bearer(people.token(perm, of=of))
    return getattr(Client(), method)(f"{PATH}{query}", **data, headers=headers)


def heights() -> tuple[int | None, int | None]:
    row = Miner.objects.get()
    return row.works_from, row.works_until


def test_rest_shows_the_steps_and_sets_the_height(
    chain: MovingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = rest("get", perm="read").json()
    assert (shown["way"], shown["height"], shown["works_until"]) == ("in", 1000, 0)
    states = {step["key"]: step["state"] for step in shown["steps"]}
    assert (states["keys"], states["files"], states["policy"], states["height"]) == (
        "done",
        "done",
        "to_do",
        "blocked",
    )
    [height] = [step for step in shown["steps"] if step["key"] == "height"]
    assert height["first"] == ["Signer's policy covers the miner"]
    assert [window["deadline"] for window in shown["windows"]] == [4, 5, 1]

    policy_allows(monkeypatch, "f01000")
    done = rest("post", {"way": "in", "height": 1010})
    assert (done.status_code, done.json()["works_from"], done.json()["is_pending"]) == (200, 1010, True)
    assert rest("delete").json()["works_until"] == 0
    numbers = rest("post", {"way": "in", "last_number": 41})
    assert (numbers.status_code, SectorNumbers.objects.get().next_number) == (200, 42)
    rest("post", {"way": "in", "height": 1010})
    factories.head(1012)
    out = rest("post", {"way": "out", "height": 1040}).json()
    assert (out["way"], out["works_until"]) == ("out", 1040)
    rest("post", {"way": "out", "give_numbers": True})
    assert SectorNumbers.objects.get().exported_at is not None
    assert rest("get", perm="read").json()["way"] == "out"
    assert rest("get", perm="read", query="?way=in").json()["way"] == "in"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"way": "in"}, "height"),
        ({"way": "in", "height": 1010, "last_number": 4}, "height"),
        ({"way": "in", "give_numbers": True}, "height"),
        ({"way": "out", "last_number": 4}, "height"),
        ({"way": "in", "height": 1000}, "height"),
        ({"way": "up", "height": 1010}, "way"),
        ({"way": "in", "last_number": -1}, "sectorid"),
    ],
)
def test_rest_refuses_what_cannot_be(chain: MovingChain, body: dict[str, Any], field: str) -> None:
    refused = rest("post", body)

    assert (refused.status_code, refused.json()["field"]) == (400, field)
    assert heights() == (None, 0)
    assert rest("get", query="?way=up").json()["field"] == "way"


def test_a_stranger_and_a_reader_cannot(chain: MovingChain) -> None:
    assert rest("get", perm="read", of="bob").status_code == 404
    for perm, of, status in (("sign", "bob", 404), ("write", "alice", 403)):
        assert rest("post", {"way": "in", "height": 1010}, perm=perm, of=of).status_code == status
        assert rest("delete", perm=perm, of=of).status_code == status
    people.person("bill", of="bob")
    people.person("anna", of="alice", role="AUDITOR")
    for name in ("miner-move-in", "miner-move-out"):
        page = reverse(name, args=["f01000"])
        assert signed_in("bill").get(page).status_code == 404
        reader = signed_in("anna")
        assert "Switch at height" not in text_of(reader.get(page))
        assert reader.post(page, {"act": "height", "height": "1010", "sure": "yes"}).status_code in (403, 404)
    assert heights() == (None, 0)


def test_the_page_reviews_and_sets_the_height_and_takes_it_back(
    chain: MovingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.person("ann", of="alice")
    browser, page = signed_in("ann"), reverse("miner-move-in", args=["f01000"])
    text = text_of(browser.get(reverse("miner", args=["f01000"])))
    assert "Move in…" in text
    text = text_of(browser.get(page))
    for words in (
        "every sector has a store",
        "first: Signer",
        "Start only after lotus-miner has stopped.",
        "signer policy --miner f01000",
        "the other program",
    ):
        assert words in text, words

    policy_allows(monkeypatch, "f01000")
    asked = text_of(browser.post(page, {"act": "height", "height": "1 010"}))
    for words in (
        "The pool proves f01000 from height 1\u202f010 on",
        "deadline 4 (1\u202f000, 1 sector)",
        "deadline 5 (1\u202f010, 1 sector), deadline 1 (1\u202f030, 1 sector)",
        "10 epochs",
    ):
        assert words in asked, words
    assert heights() == (None, 0)
    sure = {"act": "height", "height": "1010", "sure": "yes"}
    assert left_open("ann").post(page, sure).status_code in (302, 200)
    body = {"way": "in", "height": 1010}
    by_rest = left_open("ann").post(PATH, json.dumps(body), content_type="application/json")
    assert (by_rest.status_code, heights()) == (403, (None, 0)), "who set it proves who it is"
    assert browser.post(page, sure).status_code == 302
    assert heights() == (1010, None)
    assert "Cancel height…" in text_of(browser.get(page))
    assert "keeps it" in text_of(browser.post(page, {"act": "cancel"}))
    assert browser.post(page, {"act": "cancel", "sure": "yes"}).status_code == 302
    assert heights() == (None, 0)
    actors = AuditEntry.objects.filter(action__startswith="miner.move").values_list("actor", flat=True)
    assert len(actors) == 2
    assert all("ann" in actor for actor in actors)


def test_a_miner_that_was_born_here_has_nothing_to_move_in(chain: MovingChain) -> None:
    people.person("ann", of="alice")
    Miner.objects.update(create_message_id="made", works_from=None, works_until=None)
    browser, page = signed_in("ann"), reverse("miner-move-in", args=["f01000"])

    text = text_of(browser.get(page))
    answer = browser.post(page, {"act": "height", "height": "1010", "sure": "yes"})

    assert "The pool created this miner and has proven it since; it can only move out." in text
    acts = ("Switch at height", "Take over…", "Attach a store…", "Adopt sectors…", 'id="f-move"')
    assert not [words for words in acts if words in text]
    assert (answer.status_code, heights()) == (404, (None, None))
    assert "Switch at height" in text_of(browser.get(reverse("miner-move-out", args=["f01000"])))


@pytest.mark.parametrize("typed", ["", "x", "1000", "99999"])
def test_a_height_that_is_none_stands_at_its_field(chain: MovingChain, typed: str) -> None:
    people.person("ann", of="alice")
    page = reverse("miner-move-in", args=["f01000"])

    for sure in ({}, {"sure": "yes"}):
        refused = signed_in("ann").post(page, {"act": "height", "height": typed, **sure})
        if refused.status_code == 422:
            assert "height-error" in refused.content.decode()
    assert refused.status_code == 422
    assert heights() == (None, 0)


def test_numbers_are_taken_over_and_given_back_on_the_pages(chain: MovingChain) -> None:
    people.person("ann", of="alice")
    browser = signed_in("ann")
    into, out = (reverse(name, args=["f01000"]) for name in ("miner-move-in", "miner-move-out"))
    assert browser.post(into, {"act": "numbers", "sectorid": ""}).status_code == 422
    asked = browser.post(into, {"act": "numbers", "sectorid": "41"})
    assert "from 42 on" in text_of(asked)
    browser.post(into, {"act": "numbers", "sectorid": "41", "sure": "yes"})
    assert SectorNumbers.objects.get().exported_at is None
    assert 'value="numbers"' not in browser.get(into).content.decode()

    assert "The pool pledges no more" in text_of(browser.post(out, {"act": "numbers"}))
    browser.post(out, {"act": "numbers", "sure": "yes"})
    assert SectorNumbers.objects.get().exported_at is not None
    assert 'value="numbers"' not in browser.get(out).content.decode()
    assert browser.post(out, {"act": "other"}).status_code == 422


@pytest.mark.parametrize("is_page", [True, False], ids=["page", "REST"])
def test_a_height_gives_no_number_back_that_the_chain_has(chain: MovingChain, is_page: bool) -> None:
    Miner.objects.update(works_until=None)
    if is_page:
        people.person("ann", of="alice")
        page = reverse("miner-move-out", args=["f01000"])
        signed_in("ann").post(page, {"act": "height", "height": "1040", "sure": "yes"})
    else:
        rest("post", {"way": "out", "height": 1040})

    assert heights() == (None, 1040)
    assert SectorNumbers.objects.get().next_number == 42


LEFT = "Signer's policy covers the miner: the policy cannot be read now: its signer is away"


def forced() -> list[Any]:
    """What the audit log has of acts that were forced."""
    return list(AuditEntry.objects.filter(action="miner.move-force").values_list("after", flat=True))


def test_what_its_own_steps_block_is_refused_over_rest(chain: MovingChain) -> None:
    refused = rest("post", {"way": "in", "height": 1010})

    assert (refused.status_code, refused.json()["field"]) == (409, "height")
    assert LEFT in str(refused.json())
    assert (heights(), AuditEntry.objects.filter(action__startswith="miner.move").count()) == ((None, 0), 0)

    assert rest("post", {"way": "in", "height": 5, "force": True}).status_code == 400
    assert forced() == [], "nothing was done"
    assert rest("post", {"way": "in", "height": 1010, "force": True}).json()["works_from"] == 1010
    assert forced() == [{"step": "height", "unfinished": "policy"}]
    assert rest("post", {"way": "in", "height": 1010}).status_code == 200, "it is set already"
    assert len(forced()) == 1


def test_a_policy_or_rule_that_stops_its_proofs_is_said_before_the_height(
    chain: MovingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def policy() -> tuple[str, str]:
        [step] = [one for one in rest("get", perm="read").json()["steps"] if one["key"] == "policy"]
        return step["state"], step["figure"]

    policy_allows(monkeypatch, "f01000")
    signer_says(monkeypatch)
    assert policy()[0] == "done"
    rule = factories.approval_rule(actor="miner", method=Method.SUBMIT_WINDOWED_POST)
    assert policy() == ("to_do", "its proofs would wait for a second person: miner SubmitWindowedPoSt")
    rule.delete()
    signer_says(monkeypatch, "no rule allows message: miner.SubmitWindowedPoSt")
    assert policy() == ("to_do", "no rule allows message: miner.SubmitWindowedPoSt")


def test_out_waits_for_targets_and_for_what_is_in_progress(chain: MovingChain) -> None:
    Miner.objects.update(works_until=None)
    miner = Miner.objects.get()
    factories.sector(miner, number=77, state="PC1_DONE")
    SealTarget.objects.create(miner=miner, in_work=3, since=now(), look_at=now())

    for body in ({"way": "out", "height": 1040}, {"way": "out", "give_numbers": True}):
        refused = rest("post", body)
        assert refused.status_code == 409
        assert "No automatic pledging: a target is pledging sectors" in str(refused.json())
    assert "in progress: 1 sector" in str(rest("post", {"way": "out", "height": 1040}).json())
    assert heights() == (None, None)
    assert not SectorNumbers.objects.exclude(exported_at=None).exists()

    SealTarget.objects.all().delete()
    assert rest("post", {"way": "out", "give_numbers": True}).status_code == 200
    done = rest("post", {"way": "out", "height": 1040, "force": True}).json()
    assert (done["works_until"], forced()) == (1040, [{"step": "height", "unfinished": "work"}])


def test_the_page_names_what_is_unfinished_and_asks(chain: MovingChain) -> None:
    people.person("ann", of="alice")
    browser, page = signed_in("ann"), reverse("miner-move-in", args=["f01000"])

    asked = browser.post(page, {"act": "height", "height": "1010"})
    for words in ("Unfinished earlier steps", "its signer is away", "Continue with unfinished steps"):
        assert words in text_of(asked), words
    assert 'name="force" value="yes"' in asked.content.decode()
    sure = {"act": "height", "height": "1010", "sure": "yes"}
    refused = browser.post(page, sure)
    assert (refused.status_code, heights()) == (422, (None, 0)), "it was not asked about these"
    assert browser.post(page, sure | {"force": "yes"}).status_code == 302
    assert (heights(), len(forced())) == ((1010, None), 1)


def test_where_no_node_answers_only_force_goes_on(
    chain: MovingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise NodeUnavailable("no node answers")

    monkeypatch.setattr("apps.moves.services.acts.move_of", away)
    assert "no node answers" in str(rest("post", {"way": "in", "height": 1010}).json())
    assert heights() == (None, 0)

    assert rest("post", {"way": "in", "height": 1010, "force": True}).json()["works_from"] == 1010
    assert (heights(), forced()) == ((1010, None), [{"step": "height", "unfinished": "unknown"}])


def test_where_no_node_answers_the_page_says_so(chain: MovingChain, monkeypatch: pytest.MonkeyPatch) -> None:
    people.person("ann", of="alice")
    monkeypatch.setattr("apps.moves.selectors.readings.head_current", lambda: None)

    page = signed_in("ann").get(reverse("miner-move-in", args=["f01000"]))

    assert (page.status_code, "Status unknown:" in text_of(page)) == (200, True)
