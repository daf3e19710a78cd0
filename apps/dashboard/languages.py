"""The language and the time zone of a page: as its person chose, else the browser's language, and UTC.

All else is English and UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from apps.core.languages import browser_language
from apps.core.local_time import zone_named

FILES: Final = (".csv", ".json")
"""End the addresses of files, which programs read: their words are the same for everybody."""


def page_language(request: HttpRequest) -> str:
    """Return the language of what this browser is shown."""
    chosen = chosen_by(request, "language")
    return chosen if is_language(chosen) else browser_language(request)


def chosen_by(request: HttpRequest, name: str) -> str:
    """Return what the person chose of this name; empty for nothing, or nobody."""
    try:
        return getattr(getattr(request, "user", None), name, "")
    except (OperationalError, InterfaceError):  # the page that says so needs a language too
        return ""


def is_language(code: str) -> bool:
    """Return whether the pages have this language."""
    return code in dict(settings.LANGUAGES)


def language_activate(request: HttpRequest) -> None:
    """Activate the language of its page for the rest of a request."""
    translation.activate(page_language(request))
    request.has_page_language = True  # type: ignore[attr-defined]  # read below


def zone_activate(request: HttpRequest) -> None:
    """Activate the time zone of its person for the rest of a request."""
    timezone.activate(zone_named(chosen_by(request, "time_zone")))


def without_session(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Mark a view for which no session is read from the database: its language is the browser's."""
    view.is_without_session = True  # type: ignore[attr-defined]  # read below
    return view


class LanguageMiddleware:
    """Switches language and zone on for the views of the dashboard, and for no other; says the language."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        translation.deactivate()
        timezone.deactivate()
        try:
            response = self.get_response(request)
            if getattr(request, "has_page_language", False):
                response.headers["Content-Language"] = translation.get_language() or settings.LANGUAGE_CODE
                patch_vary_headers(response, ("Accept-Language", "Cookie"))
            return response
        finally:
            translation.deactivate()
            timezone.deactivate()

    def process_view(self, request: HttpRequest, view: Callable[..., Any], *_: Any) -> None:
        """Look at whose view it is; what the view raises is answered in the same language.

        The days that a file is asked for are of the person's zone, as on its page; what it says is UTC.
        """
        if getattr(view, "is_without_session", False):
            translation.activate(browser_language(request))
            request.has_page_language = True  # type: ignore[attr-defined]  # read above
        elif view.__module__.startswith("apps.dashboard."):
            zone_activate(request)
            if not request.path.endswith(FILES):
                language_activate(request)
