"""The made-up pool of `make up DEMO=1`."""
