"""Which fragments of which page a change touches: what a live update renders.

A row is rendered when it changed, any other fragment as a whole.  Pages get only
what they may show: permission is in the selectors, which take the viewer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Final

from django.conf import settings
from django.utils import timezone, translation

from apps.core.errors import DomainError
from apps.core.live import CHECKS
from apps.dashboard.bell import bell
from apps.dashboard.fragments import FragmentContext, FragmentRenderer, FragmentsByKind, LivePage, fragment
from apps.dashboard.registry import live_pages
from apps.dashboard.scope import scope_read
from apps.miners.selectors.scope import viewer_in
from apps.users.rules.principals import Principal


def chain_status(context: FragmentContext) -> Iterable[str]:
    """Yield the chain's line in the bar."""
    yield fragment("_chain_status.html", chain_status=context.data.chain_status)


EVERYWHERE: Final[FragmentsByKind] = {
    "head": (chain_status, bell),
    "node_state": (chain_status, bell),
    CHECKS: (bell,),
}
"""In the frame of every page."""


def fragments_render(
    changes: set[tuple[str, str]],
    *,
    viewer: Principal,
    page: str,
    language: str = settings.LANGUAGE_CODE,
    zone: tzinfo = UTC,
    scope: str = "",
) -> str:
    """Render what these changed rows alter on this page: all table rows first, then everything else.

    The order matters: the browser's parser drops table parts that follow other content.  `scope` is the
    query of the page's scope.
    """
    with translation.override(language), timezone.override(zone):
        return _fragments(changes, viewer=viewer, page=page, scope=scope)


def _fragments(changes: set[tuple[str, str]], *, viewer: Principal, page: str, scope: str) -> str:
    name, _, key = page.partition(":")
    live = live_pages().get(name, LivePage({}))
    kinds: dict[str, list[str]] = {}
    for kind, pk in sorted(changes):
        kinds.setdefault(kind, []).append(pk)
    try:
        seen = viewer_in(viewer, scope_read(scope))
    except DomainError:  # its miner has moved away meanwhile: no more of such a page
        if live.is_scoped:
            return ""
        seen = viewer
    frame = FragmentContext(viewer=viewer, key=key, changed=kinds, seen=seen)
    context = frame if live.is_scoped or seen == viewer else replace(frame, seen=None)
    rows = [
        html
        for kind, keys in kinds.items()
        if (render := live.rows.get(kind))
        for html in render(context, keys)
    ]
    renderers: dict[FragmentRenderer, FragmentContext] = {}
    for kind in kinds:
        renderers |= dict.fromkeys(EVERYWHERE.get(kind, ()), frame)
        renderers |= dict.fromkeys(live.renderers(kind), context)
    parts = [*rows, *(html for renderer, of in renderers.items() for html in renderer(of))]
    return "".join(sorted(parts, key=lambda html: not html.lstrip().startswith("<tbody")))
