"""Alerts: opening and closing them, their channels, and delivery."""
