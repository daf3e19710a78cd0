"""Pages of stores."""
