"""The follower: it hears of heads, records them, and sends the steps that they make due."""
