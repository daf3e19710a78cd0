"""Automatic rules: what the pool does by itself."""
