"""Forms and tables that the docks are made of."""
