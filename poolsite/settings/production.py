"""An installation behind a TLS proxy with its own PostgreSQL, Redis and nodes, all from the environment."""

from __future__ import annotations

from poolsite.settings.base import *
from poolsite.settings.environment import broker_from_redis_url, database_from_url, env_list, env_text
from poolsite.settings.tls import *

SECRET_KEY = env_text("SECRET_KEY")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS")
DATABASES["default"].update(database_from_url(env_text("DATABASE_URL")))
REDIS_URL = env_text("REDIS_URL")
CELERY_BROKER_URL = broker_from_redis_url(REDIS_URL)
CHAIN_URLS = env_list("CHAIN_URLS")
