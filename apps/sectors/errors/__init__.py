"""Refusals about sectors, jobs, hosts and stores."""
