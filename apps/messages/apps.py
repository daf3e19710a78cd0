"""The messager: messages from push to landed, nonces, fees."""

from __future__ import annotations

from django.apps import AppConfig


class MessagesConfig(AppConfig):
    """Registers this app; contrib.messages is not installed, so the short label is free."""

    name = "apps.messages"
    label = "messages"
