"""The page that shows a join token, once, and the commands that use it on the other machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse

from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.program_commands import console_url, is_loopback, program_commands, programs_place
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def join_page_render(
    request: HttpRequest,
    viewer: Principal,
    template: str,
    *,
    title: StrOrPromise,
    section: str,
    token: str,
    start: str,
    done: str,
) -> HttpResponse:
    """Show a join token with the commands that store it in a file and start the program that uses it."""
    return page_render(
        request,
        template,
        title=title,
        section=section,
        data=PageData(viewer),
        token=token,
        done=done,
        commands=program_commands(f"{start} JOIN_TOKEN_FILE=join-token", into="join-token"),
        place=programs_place(),
        is_clear=console_url(request).startswith("http://"),
        only_here=console_url(request) if is_loopback(console_url(request)) else "",
    )
