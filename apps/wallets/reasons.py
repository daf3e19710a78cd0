"""What signers were asked to sign, and why wallets elsewhere do not serve."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

MESSAGE = reason("wallets.message", gettext_noop("message: method {method} to {to}"))
UNREGISTERED = reason(
    "wallets.unregistered", gettext_noop("it could not be registered: the web process' log says why")
)
UNPROVEN = reason("wallets.unproven", gettext_noop("these keys could not prove themselves: {keys}"))
BYTES = reason("wallets.bytes", gettext_noop("{meta_type}: {count} bytes"))
