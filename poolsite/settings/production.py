"""An installation behind a TLS proxy with its own PostgreSQL, Redis and nodes, all from the environment."""

from __future__ import annotations

from poolsite.settings.base import *
from poolsite.settings.environment import env_list, env_text
from poolsite.settings.tls import *

SECRET_KEY = env_text("SECRET_KEY")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS")
CHAIN_URLS = env_list("CHAIN_URLS")
for name in ("DATABASE_URL", "REDIS_URL"):
    env_text(name)  # no default here
