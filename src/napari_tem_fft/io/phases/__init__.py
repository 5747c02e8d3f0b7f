"""Read reference phases: the bundled table, CIF files, lists of d-spacings, the user's library, OPTIMADE."""
