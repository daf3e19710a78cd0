"""A template filter: which browser it was."""

from __future__ import annotations

import re
from typing import Final

from django import template
from django.utils.translation import gettext

from apps.core import formatting

register = template.Library()

BROWSERS: Final = (
    ("Edge", re.compile(r"Edg(?:A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"OPR/(\d+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"(?:Chrome|CriOS|HeadlessChrome)/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+)[\d.]* (?:Mobile/\w+ )?Safari")),
)
"""In this order: most name others of them too."""
SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@register.filter
def browser(agent: str) -> str:
    """`Firefox 128 on Linux`; what a browser says of itself where we do not know it."""
    browser = next((f"{name} {found[1]}" for name, sign in BROWSERS if (found := sign.search(agent))), "")
    system = next((name for sign, name in SYSTEMS if sign in agent), "")
    if not browser:
        return formatting.shortened(agent) if agent else gettext("unknown browser")
    return gettext("{browser} on {system}").format(browser=browser, system=system) if system else browser
