"""A page looked at in both themes and at each width."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.browser.axe import findings
from tests.browser.visitor import Visitor

WIDTHS: Final = (320, 360, 390, 768, 1100, 1440)


def looks_well(page: Visitor, name: str) -> None:
    picture = os.environ.get("SHOTS", "")
    for scheme in ("light", "dark"):
        page.page.emulate_media(color_scheme=scheme)
        for width in (1440, 360):
            page.page.set_viewport_size({"width": width, "height": 900})
            assert findings(page) == []
            if picture:
                page.page.screenshot(
                    caret="initial", path=Path(picture, f"{name}-{width}-{scheme}.png"), full_page=True
                )
    assert page.sideways(WIDTHS) == {}
