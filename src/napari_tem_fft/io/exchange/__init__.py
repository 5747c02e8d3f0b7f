"""Exchange files: formats of other programs, documents, and calibration profiles."""
