"""What signers were asked to sign."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

MESSAGE = reason("wallets.message", gettext_noop("message: method {method} to {to}"))
BYTES = reason("wallets.bytes", gettext_noop("{meta_type}: {count} bytes"))
