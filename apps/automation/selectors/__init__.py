"""Reading automatic rules and what they did."""
