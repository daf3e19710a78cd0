"""The pages: one module each, found by `apps.dashboard.registry`."""
