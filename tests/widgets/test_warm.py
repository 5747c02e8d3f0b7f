"""What is loaded ahead, off the GUI thread."""

import subprocess
import sys

OPENED_AT_ONCE = """
import numpy as np
from napari.layers import Image
from napari_tem_fft.widgets.session import responsiveness
responsiveness._load_layers()
print(Image(np.eye(4)).units)
"""


def test_an_image_that_is_opened_while_layers_are_loaded_ahead_has_its_units():
    done = subprocess.run([sys.executable, "-c", OPENED_AT_ONCE], capture_output=True, text=True)
    assert done.returncode == 0 and "pixel" in done.stdout, done.stderr[-2000:]
    assert "Error" not in done.stderr  # of the thread
