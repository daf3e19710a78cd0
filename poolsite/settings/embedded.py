"""The pool of `make up`: addresses of the embedded servers follow from POOLSITE_VAR unless given."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

from poolsite.console_folder import console_environment
from poolsite.embedded.paths import PoolPaths

paths = PoolPaths.of_environment()
try:
    console_environment(paths.var)
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from None
os.environ["DATABASE_URL"] = os.environ.get("DATABASE_URL") or paths.database_url
os.environ["REDIS_URL"] = os.environ.get("REDIS_URL") or paths.redis_url

from poolsite.settings.base import *
from poolsite.settings.environment import env_flag

if env_flag("POOLSITE_TLS"):
    from poolsite.settings.tls import *

SECRET_KEY = SECRET_KEY or paths.secret_key()
host = os.environ.get("POOLSITE_HOST", "")
if host:  # where it listens it also answers to that name
    ALLOWED_HOSTS += [f"[{host}]" if ":" in host else host]
EMBEDDED = True
"""Whether the pages may speak of `make up`, its folder and its processes."""
