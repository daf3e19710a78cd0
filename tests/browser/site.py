"""Settings of the web process that the browser tests look at: the run's database and a real Redis."""

from __future__ import annotations

import os

from poolsite.settings.test import *  # noqa: F403  # a settings module is its names

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [os.environ.get("REDIS_URL", "")], "prefix": "test"},
    }
}
