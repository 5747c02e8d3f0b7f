"""An analysis as a folder of tables and maps, and back."""
