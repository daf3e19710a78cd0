"""Connections of the gateway."""
