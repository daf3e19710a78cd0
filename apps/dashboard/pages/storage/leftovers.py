"""What the removal of leftovers shares, from a store and from sealing folders: form, typed number, review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from apps.core.errors import BadValue
from apps.core.formatting import plural
from apps.dashboard.forms import PageForm
from apps.dashboard.layout import page_render
from apps.dashboard.number_fields import Integer
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.storage.rows import bytes_text
from apps.dashboard.text_fields import MultiChoice, Text
from apps.users.rules.principals import Principal


class LeftoversForm(PageForm):
    """Which leftovers; how many were shown; what was typed."""

    id = MultiChoice()
    reason = Text()
    count = Integer()
    confirm = Text()

    def confirm_require(self) -> None:
        """Raise BadValue unless it was typed how many go."""
        count = self.cleaned_data["count"]
        if self.cleaned_data["confirm"].strip().lower() != gettext("remove {count}").format(count=count):
            raise BadValue(gettext('type "remove {count}" to confirm').format(count=count), field="confirm")


def review_render(
    request: HttpRequest,
    viewer: Principal,
    form: LeftoversForm,
    *,
    sizes: Mapping[str, int],
    wrong: str,
    **shown: Any,
) -> HttpResponse:
    """Show what goes, `sizes` by id in bytes, and what stays, and ask for the number to be typed."""
    count, title = len(sizes), gettext("Remove leftovers")
    return page_render(
        request,
        "storage/leftovers.html",
        title=title,
        page_key="",
        data=PageData(viewer),
        status=422 if wrong and request.method == "POST" else 200,
        wrong=wrong,
        accepted=count,
        heading=gettext("Remove {leftovers}").format(leftovers=plural(count, "leftover")) if count else title,
        phrase=gettext("remove {count}").format(count=count),
        bytes=bytes_text(sum(sizes.values())),
        ids=list(sizes),
        reason=form.data.get("reason", "")[:500],
        **shown,
    )
