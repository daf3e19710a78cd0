"""What a console adds behind a proxy that speaks TLS: cookies for TLS alone, and HSTS for a year."""

from __future__ import annotations

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
