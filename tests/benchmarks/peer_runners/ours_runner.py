"""napari-tem-fft: the whole chain with the shipped network and without it: spots, names and maps."""

import json
import sys
from pathlib import Path

from exchange import answer, given, timed

from napari_tem_fft import __version__, api
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import AnalysisParams
from napari_tem_fft.io.results.map_files import write_map

image, pixel_size, limits = given()
about = json.loads(Path(sys.argv[1]).with_suffix(".json").read_text())
scale = Calibration.real((float(pixel_size[0]), float(pixel_size[1])))
micrograph = Micrograph(image, scale.with_uncertainty(about["uncertainty"] / 100), about["name"])
phases = api.select(about["candidates"]) if about["candidates"] else ()
named = {}


def chain(network):
    params = AnalysisParams(network=network)
    segment = api.segment_of(params)  # loaded once for many images, so no part of an image's time

    def find():
        analysis = api.analyse(micrograph, phases, params, segment, others=())
        for part in analysis.components:
            for phase in part.phases:
                named.setdefault(network, {})[phase] = f"{network}_{phase}.tif"
                write_map(Path(sys.argv[2]).parent / f"{network}_{phase}.tif", part.heat, analysis.map_grid)
        g = [spot.g for spot in analysis.spots if limits[0] <= spot.length <= limits[1]]
        return [list(map(float, one)) for one in g]

    return find


runs = [timed("default", chain("auto")) | {"maps": named.get("auto", {})}]
runs.append(timed("statistics alone", chain("none")) | {"maps": named.get("none", {})})
answer(f"napari-tem-fft {__version__}", runs)
