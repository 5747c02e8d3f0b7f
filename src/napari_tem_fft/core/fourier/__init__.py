"""From the image to its spectra and back: diffractogram, local spectra, noise, masks."""
