"""How a person likes a list: columns that are hidden, and views that are saved by name."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from apps.dashboard.live_fragments import fragments_render
from apps.users.models import SavedView
from apps.users.services.saved_views import VIEWS_MAX
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]
HERE = "/lists/sectors/"


def heads(query: str = "", *, who: str = "ann") -> list[str]:
    return [str(head.html) for head in signed_in(who).get(f"/sectors/{query}").context["heads"]]


def test_columns_that_a_person_hides_stay_hidden_for_that_person_alone(ann: None) -> None:
    people.person("bea")
    row = factories.sector(factories.miner(2001), number=7)
    every = heads()
    kept = ["state", "next", "expires", "pledged"]

    answer = signed_in().post(HERE, {"do": "columns", "column": kept, "query": "state=work&hide=next"})

    assert answer.headers["Location"] == "/sectors/?state=work"
    assert [head for head in every if head not in heads()] == ["Progress", "Host", "Deadline"]
    assert heads(who="bea") == every
    assert "Host" in heads("?hide=next"), "an address says it otherwise"
    page = signed_in().get("/sectors/")
    [key] = parse_qs(page.context["live_query"])["page"]
    assert key == "sectors:hide=progress&hide=host&hide=deadline"
    [pushed] = [
        line
        for line in fragments_render({("sector", str(row.uuid))}, viewer=people.principal(), page=key).split(
            "<tbody"
        )
        if "f-sector-" in line
    ]
    assert pushed.count("<td") + pushed.count("<th") == len(page.context["heads"])


def test_a_view_is_saved_offered_and_forgotten(ann: None) -> None:
    browser = signed_in()
    query = "state=active&miner=f02001&sort=-expires&hide=host"
    factories.miner(2001)

    saved = browser.post(HERE, {"do": "save", "name": " ends soon ", "query": f"{query}&cursor=x"})
    page = browser.get(saved.headers["Location"])

    assert saved.headers["Location"] == f"/sectors/?{query}"
    [chip] = [one for one in page.context["bar"]["facets"] if one.key == "ends soon"]
    assert (chip.href, chip.on) == (f"/sectors/?{query}", True)
    browser.post(HERE, {"do": "save", "name": "ends soon", "query": "state=expiring"})
    assert SavedView.objects.get().query == "state=expiring"
    browser.post(HERE, {"do": "forget", "name": "ends soon", "query": ""})
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("name", "query", "reason"),
    [
        ("", "", "Name: needs a name"),
        ("x" * 41, "", "Name: has at most 40 characters"),
        ("odd", "colour=red", "colour: there is no such filter"),
        ("odd", "sort=colour", "sort: the list has no such order"),
        ("odd", "q=" + "9" * 1000, "query: has at most 1000 characters"),
        ("one more", "", "Name: a list has at most 20 saved views: forget one first"),
    ],
)
def test_a_view_that_cannot_be_saved_is_refused_with_what_was_typed(
    ann: None, name: str, query: str, reason: str
) -> None:
    browser = signed_in()
    if name == "one more":
        for number in range(VIEWS_MAX):
            browser.post(HERE, {"do": "save", "name": f"view {number}", "query": ""})
    before = set(SavedView.objects.values_list("name", flat=True))

    answer = browser.post(HERE, {"do": "save", "name": name, "query": query})

    assert answer.status_code == 422
    assert reason in text_of(answer)
    assert f'name="name" value="{name}"' in text_of(answer)
    assert set(SavedView.objects.values_list("name", flat=True)) == before


def test_a_refused_view_leaves_the_rest_of_the_page(ann: None) -> None:
    factories.miner()

    page = text_of(signed_in().post("/lists/pieces/", {"do": "save", "name": "", "query": ""}))

    assert "Name: needs a name" in page
    assert 'id="f-piece-upload"' in page
    assert "Data of alice:" in page


def test_a_list_that_is_none_has_no_views(ann: None) -> None:
    assert signed_in().post("/lists/stars/", {"do": "save", "name": "x"}).status_code == 404
