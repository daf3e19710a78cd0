"""Pipelines over proven sectors: snap-up, rebuild, unsealing."""
