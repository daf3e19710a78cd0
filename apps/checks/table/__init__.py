"""The table of checks: one module for each subject, and `checks`, which joins them."""
