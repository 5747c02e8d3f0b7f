"""Reference phases from files: the bundled table, CIF files, lists of d-spacings."""
