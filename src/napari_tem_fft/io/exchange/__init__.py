"""Files for other programs, documents, and what is shared between laboratories."""
