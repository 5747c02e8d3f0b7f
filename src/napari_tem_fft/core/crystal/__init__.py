"""Reference phases: their atoms, cells and lattice planes, and which phases may be named."""
