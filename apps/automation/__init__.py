"""Automatic rules: what the pool does by itself within limits that a person set."""
