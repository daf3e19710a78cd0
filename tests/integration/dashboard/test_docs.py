"""The documentation under /docs/: every link and picture works, and nobody needs a session."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.conf import settings
from django.test import Client

from apps.core.middleware import CONTENT_POLICY
from apps.dashboard.pages.docs.page import documents, pictures

LINK = re.compile(r'<(?:a|img)[^>]* (?:href|src)="(/docs/[^"]*|#[^"]*)"')
FOREIGN = re.compile(r'<a[^>]* href="([^"]*)"')


def test_all_links_lead_from_the_index_to_every_document_and_heading():
    """Without a database: these tests have no mark for one."""
    client, html, todo = Client(), {}, ["/docs/"]
    while todo:
        path = todo.pop()
        if path in html:
            continue
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer["Content-Security-Policy"] == CONTENT_POLICY
        assert not answer.cookies
        html[path] = answer.content.decode() if answer["Content-Type"].startswith("text/html") else ""
        links = {unescape(link).partition("#")[0] for link in LINK.findall(html[path])}
        todo += sorted(links - {""})

    lost = [
        (path, link)
        for path, text in html.items()
        for link in map(unescape, LINK.findall(text))
        if "#" in link and f'id="{link.partition("#")[2]}"' not in html[link.partition("#")[0] or path]
    ]
    assert lost == []
    assert len([path for path in html if not path.endswith(".png")]) == len(documents())
    assert {path for path in html if path.endswith(".png")} <= {
        f"/docs/screens/{name}" for name in pictures()
    }


@pytest.mark.parametrize("path", ["/docs/", "/docs/operations/failures/", "/docs/?q=database"])
def test_a_session_is_not_read_from_the_database(path):
    """An operator who is signed in opens a page while the database is offline."""
    client = Client(headers={"Accept-Language": "zh-CN"})
    client.cookies[settings.SESSION_COOKIE_NAME] = "a-session"

    answer = client.get(path)

    assert answer.status_code == 200
    assert answer["Content-Language"] == "zh-hans"
    assert '<html lang="zh-hans">' in answer.content.decode()


def test_pages_need_no_style_or_script_and_lead_nowhere_unknown():
    for name in documents():
        text = Client().get(f"/docs/{name}/" if name else "/docs/").content.decode()

        assert (
            re.findall(r"<script|\sstyle=|\son\w+=", re.sub(r"<code.*?</code>", "", text, flags=re.DOTALL))
            == []
        )
        targets = {
            link for link in FOREIGN.findall(text) if not link.startswith(("#", "/", "https://", "http://"))
        }
        assert targets == set(), name


def test_a_search_finds_sections_and_shows_what_was_typed_as_text():
    client = Client()

    found = client.get("/docs/", {"q": "Dry RUN deadline"}).content.decode()
    nothing = client.get("/docs/", {"q": "<b>zzqx</b>"}).content.decode()

    assert 'href="/docs/proving/checks/#checks-on-request"' in found
    assert "No results" in nothing
    assert "<b>zzqx" not in nothing


@pytest.mark.parametrize(
    "path", ["/docs/nothing/", "/docs/../README/", "/docs/screens/x.png", "/docs/screens/..%2Fsettings.md"]
)
def test_what_is_no_document_is_missing(path):
    assert Client().get(path, follow=True).status_code == 404


def test_diagrams_are_shown_as_tables_of_their_arrows():
    states = Client().get("/docs/states/").content.decode()
    flows = Client().get("/docs/flows/").content.decode()

    assert "<td><code>PC1_DONE</code></td>\n<td>PC2</td>\n<td><code>PC2_DONE</code></td>" in states
    assert "<td><code>Agent</code> in <code>workers.agent.loop</code></td>" in flows
    assert "mermaid" not in states + flows
