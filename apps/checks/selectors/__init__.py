"""Reading what the checks look at, what it can cost, and alerts with their channels."""
