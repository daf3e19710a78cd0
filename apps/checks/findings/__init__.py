"""What each check finds: one module for each topic, a function for each row of the tables."""
