"""Reference phases: their atoms, cells and lattice planes, and which of them may be named."""
