"""A new page is a module and a template; a live one has a fragment's template, too (CONTRIBUTING.md)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module, reload
from pathlib import Path

import pytest
from django.template.engine import Engine
from django.urls import clear_url_caches, reverse

from apps.dashboard import pages, registry
from apps.dashboard.live_fragments import fragments_render
from apps.users.rules.principals import SYSTEM
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db

VIEW = '''
"""Tides: a made-up page."""

from __future__ import annotations

from typing import Final

from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required


def tides_context(data):
    return {"height": data.head.height if data.head else 0}


@require_safe
@sign_in_required
def tides(request, viewer):
    data = PageData(viewer)
    names = {"title": "Tides", "section": "tides", "page_key": "tides"}
    return page_render(request, "tides/page.html", data=data, **names, **tides_context(data))


NAV: Final = NavItem("tides", _("Tides"), "chain", place=(1, 99))
urlpatterns: Final = [path("tides/", tides, name="tides")]
'''
LIVE = """
from apps.dashboard.fragments import LivePage, fragment


def height(context):
    yield fragment("tides/_height.html", **tides_context(context.data))


LIVE: Final = {"tides": LivePage({"head": (height,)})}
"""
PAGE = '{% extends "page.html" %}{% block page %}<p>At height {{ height }}.</p>{% endblock %}'
PAGE_WITH_FRAGMENT = (
    '{% extends "live_page.html" %}{% block page %}'
    '{% include "tides/_height.html" with height=height live=False only %}{% endblock %}'
)
FRAGMENT = (
    "{# height; live: bool #}"
    '<p id="f-tides"{% if live %} hx-swap-oob="true"{% endif %}>At height {{ height }}.</p>'
)

READ_ONLY = {"pages/tides.py": VIEW, "templates/tides/page.html": PAGE}
WITH_FRAGMENT = {
    "pages/tides.py": VIEW + LIVE,
    "templates/tides/page.html": PAGE_WITH_FRAGMENT,
    "templates/tides/_height.html": FRAGMENT,
}


def look_again() -> None:
    """Have the site find its pages anew."""
    for found in (registry.page_modules, registry.navigation, registry.live_pages):
        found.cache_clear()
    for name in ("apps.dashboard.urls", "poolsite.urls", "tests.urls"):
        reload(import_module(name))
    clear_url_caches()


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[dict[str, str]], None]]:
    """Write a page's files beside the others."""

    def written(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        look_again()

    monkeypatch.setattr(pages, "__path__", [*pages.__path__, str(tmp_path / "pages")])
    engine = Engine.get_default()
    loaders = engine.template_loaders
    for loader in loaders:
        loader.reset()
    monkeypatch.setattr(engine, "dirs", [*engine.dirs, str(tmp_path / "templates")])
    yield written
    monkeypatch.undo()
    sys.modules.pop("apps.dashboard.pages.tides", None)
    look_again()
    for loader in loaders:
        loader.reset()


def test_read_only_page_is_a_module_a_template_and_a_test(add):
    person()
    factories.head(1234)
    add(READ_ONLY)

    client = signed_in("ann")
    page = text_of(client.get(reverse("tides")))

    assert len(READ_ONLY) + 1 == 3
    assert "At height 1234." in page
    assert 'title="Tides"' in page  # in the rail
    assert client.get(reverse("search"), {"q": "tid"}).headers["Location"] == reverse("tides")


def test_live_page_has_the_template_of_its_fragment_besides(add):
    operator_person()
    factories.head(1234)
    add(WITH_FRAGMENT)

    page = text_of(signed_in("olga").get(reverse("tides")))
    pushed = fragments_render({("head", "1234")}, viewer=SYSTEM, page="tides")

    assert len(WITH_FRAGMENT) + 1 == 4
    assert '<p id="f-tides">At height 1234.</p>' in page
    assert '<p id="f-tides" hx-swap-oob="true">At height 1234.</p>' in pushed
