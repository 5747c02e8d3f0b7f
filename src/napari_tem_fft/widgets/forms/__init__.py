"""Forms and tables of which the docks are made."""
