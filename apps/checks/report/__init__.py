"""Running the checks, and what they found: the report, its cache, its figures for Prometheus."""
