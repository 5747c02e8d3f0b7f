"""Time of the network compared with the classic U-Net, and its memory over many images.

    python tests/benchmarks/inference.py [--network spots] [--images 200]

Printed: seconds and processor seconds of the bundled network for one input (the same for any image, including
4096 x 4096) with NumPy and with TensorFlow, and the largest difference of their outputs; of the preparation
of that input, and of the classic U-Net (64 features, four halvings, 1024 x 1024) with TensorFlow; resident
memory after 10 images and after all, before TensorFlow is imported.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from forward_model import film_image, lattice
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.nn.inference.model import load_predict, model_folder
from napari_tem_fft.nn.inference.prepare import network_input
from napari_tem_fft.nn.inference.unet import NetworkParams
from napari_tem_fft.nn.training.dataset import spectra_of
from napari_tem_fft.nn.training.keras_unet import build_unet, import_keras, load_network


def median(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median seconds and processor seconds of a call, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    wall, processor = np.median(times, axis=0)
    return float(wall), float(processor)


def resident() -> float:
    """Resident memory of this process, MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def classic() -> Callable[[], object]:
    """The classic U-Net, compiled, for one input of 1024 x 1024."""
    import_keras()
    import tensorflow as tf

    model = build_unet(NetworkParams(base=64, depth=4, fold=1, norm="none"), (1024, 1024), 1)
    run = tf.function(lambda x: model(x, training=False))
    one = tf.zeros((1, 1024, 1024, 1))
    return lambda: run(one).numpy()


def in_tensorflow(network: str) -> Callable[[np.ndarray], np.ndarray]:
    """The same network, compiled by TensorFlow."""
    _, model = load_network(model_folder(network))
    import tensorflow as tf

    run = tf.function(lambda x: tf.sigmoid(model(x, training=False))[0, :, :, 0])
    return lambda inputs: np.asarray(run(tf.constant(inputs[None])))


def main() -> None:
    """Print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="spots")
    parser.add_argument("--images", type=int, default=200)
    args = parser.parse_args()
    config, predict = load_predict(model_folder(args.network))
    from forward_model import Optics

    size = (0.025, 0.025)
    pixels = film_image((4096, 4096), size, 1, Optics()) + 0.02 * lattice((4096, 4096), size, [(0.23, 20.0)])
    both = spectra_of(Micrograph(pixels.astype(np.float32), Calibration.real(size)), 11.0)
    inputs = network_input(*both, config.inputs)
    ours = median(lambda: predict(inputs), 7)
    preparation = median(lambda: network_input(*both, config.inputs), 5)
    for number in range(args.images):
        predict(inputs)
        if number == 9:
            early = resident()
    late = resident()
    run = in_tensorflow(args.network)
    difference = np.abs(run(inputs) - predict(inputs)).max()
    row = "{:44s} {:6.3f} s, {:6.3f} s of processor"
    print(row.format(f"network {config.name}, NumPy", *ours))
    print(row.format(f"network {config.name}, TensorFlow", *median(lambda: run(inputs), 7)))
    print(f"largest difference: {difference:.1e}")
    print(row.format("its input, of a 4096 x 4096 image", *preparation))
    print(row.format("classic U-Net, 1024 x 1024, TensorFlow", *median(classic(), 3)))
    print(f"resident memory: {early:.0f} MiB after 10 images, {late:.0f} MiB after {args.images}")


if __name__ == "__main__":
    main()
