"""Hosts: their heartbeats, settings, versions and orders, and what they leave behind."""
