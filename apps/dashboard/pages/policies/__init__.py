"""Signing policies."""
