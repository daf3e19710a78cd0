"""Tenants, people, tokens, who owns what, and the audit log."""

from __future__ import annotations

from django.apps import AppConfig


class UsersConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.users"
    label = "users"
