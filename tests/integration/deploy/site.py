"""The browser tests' site, behind a proxy that speaks TLS."""

from __future__ import annotations

from poolsite.settings.tls import *  # noqa: F403  # a settings module is its names
from tests.browser.site import *  # noqa: F403  # likewise

NAME = "pool.example"
ALLOWED_HOSTS = [NAME, "127.0.0.1"]
CSRF_TRUSTED_ORIGINS = [f"https://{NAME}"]
