"""Save an analysis as a folder of tables and maps, and load it."""
