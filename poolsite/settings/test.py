"""Settings of the tests: quick hashes, Redis only where a test starts one; conftest gives the database."""

from __future__ import annotations

import os

from poolsite.settings.base import *

SECRET_KEY = "only-for-tests-0123456789abcdef0123456789abcdef"  # noqa: S105  # protects nothing
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
DATABASES = {
    "default": {
        "ENGINE": "apps.core.postgresql",
        "NAME": os.environ.get("PGDATABASE", "postgres"),
        "USER": "postgres",
        "HOST": os.environ.get("PGHOST", ""),
        "TEST": {},
    }
}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
DB_THREAD_IDLE_S = 0.2
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"
NETWORK = "test"
ROOT_URLCONF = "tests.urls"
DISK_LOW_SHARE = 0.0  # whatever the machine has
DISK_RESERVE_BYTES = 0
DATABASE_MARKER = None
WHITENOISE_AUTOREFRESH = True
# A line a request would hide what a failed test says.
LOGGING["loggers"]["apps.core.middleware"] = {"level": "WARNING"}
