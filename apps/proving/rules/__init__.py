"""The numbers by which proving is run."""
