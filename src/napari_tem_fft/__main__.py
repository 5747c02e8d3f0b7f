"""``python -m napari_tem_fft`` is the command line."""

import sys

from .cli.main import main

sys.exit(main())
