"""What comes out of every real, odd, broken and simulated file of the data folder (NAPARI_TEM_FFT_DATA).

``tests/benchmarks/file_table.py`` prints the same as a table for people.
"""

import pytest

from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.formats import SUFFIXES
from napari_tem_fft.io.readers.micrographs import read_images

REAL, PATTERN, NONE = "real", "reciprocal", "none"
TINY = ((2, 2), NONE, 1, 1)
GOOD = ((64, 64), REAL, 0.02, 0.02)
UNCALIBRATED = ((64, 64), NONE, 1, 1)
#: Every file of the data folder: (shape, space, pixel size y, x) of its one image or stack, or the message.
TABLE = {
    "real/BTO_crystal_1.dm4": ((413, 469), REAL, 0.029659931, 0.029659931),
    "real/graphene_filter.dm3": ((512, 512), REAL, 0.013820881, 0.013820881),
    "real/graphene_flower_raw.dm3": ((256, 256), NONE, 1, 1),
    "real/DMReader_Image_SI-Survey.dm3": ((512, 512), NONE, 1, 1),
    "quirks/1D_test-EELS_spectrum.dm3": "a spectrum",
    "quirks/2D_multi_signal.dm3": ((512, 512), REAL, 0.017751578, 0.017751578),
    **{f"quirks/2D_test-{code}.dm3": TINY for code in (1, 2, 6, 7, 9, 10, 11, 12, 14)},
    "quirks/2D_test-23.dm3": "a colour image",
    "quirks/2D_test-MonoCL_spectrum-SI.dm4": "a line scan of spectra",
    "quirks/2D_test_STEM_image.dm3": ((68, 68), REAL, 0.248538017, 0.248538017),
    "quirks/2D_test_diffraction_pattern.dm3": ((87, 87), PATTERN, 0.174432859, 0.174432859),
    "quirks/2D_test_fft_packed_complex8.dm4": ((5, 5), NONE, 1, 1),
    "quirks/3D_EELS_SI.dm4": "a spectrum image",
    "quirks/dmTest_3D_int16_64,65,66.dm3": ((66, 65, 64), REAL, 3.0, 0.002),
    "quirks/dmTest_3D_int16_64,65,66.dm4": ((66, 65, 64), REAL, 3.0, 0.002),
    "quirks/dmTest_float32_nonSquare_diffPixelSize.dm3": ((64, 128), REAL, 0.2, 1.0),
    "quirks/dmTest_float32_nonSquare_diffPixelSize.dm4": ((64, 128), REAL, 0.2, 1.0),
    "quirks/ref_F_0_2.dm5": ((3, 2), NONE, 1, 1),
    "quirks/test_stackbuilder_imagestack.dm3": ((3, 2, 16), REAL, 59.9829033, 59.9829033),
    "quirks/tiff_test_dm_image_um_unit.dm3": ((68, 68), REAL, 168.674693, 168.674693),
    "broken/good.dm4": GOOD,
    "broken/nan_inf.dm4": GOOD,
    "broken/bracket_ok.dm4": GOOD,
    "broken/bracket_tag.dm3": GOOD,
    "broken/bracket_tag2.dm4": GOOD,
    "broken/units_angstrom.dm4": GOOD,
    "broken/units_greek_mu.dm4": GOOD,
    "broken/units_um.dm4": GOOD,
    "broken/empty_dimension.dm4": UNCALIBRATED,
    "broken/list_as_units.dm4": UNCALIBRATED,
    "broken/neg_scale.dm4": UNCALIBRATED,
    "broken/scale0.dm4": UNCALIBRATED,
    "broken/datatype4.dm4": "unsupported type",
    "broken/datatype99.dm4": "unsupported type",
    "broken/dims_mismatch.dm4": "damaged file",
    "broken/empty.dm3": "incomplete file",
    "broken/empty_imagelist.dm4": "no image in the file",
    "broken/flip.dm4": "damaged file",
    "broken/no_calibrations.dm4": "incomplete image entry",
    "broken/no_imagedata.dm4": "incomplete image entry",
    "broken/no_imagelist.dm4": "no image in the file",
    "broken/no_imagetags.dm4": "incomplete image entry",
    "broken/ole.dm4": "not a Gatan file",
    "broken/renamed_hdf5.dm4": "damaged or incomplete HDF5",
    "broken/renamed_tiff.dm3": "not a Gatan file",
    "broken/text.dm4": "not a Gatan file",
    "broken/tiny.dm3": "incomplete file",
    "broken/trunc_before_end.dm4": "incomplete file",
    "broken/trunc_data.dm4": "incomplete file",
    "broken/trunc_header.dm4": "incomplete file",
    "broken/trunc_meta.dm4": "incomplete file",
    "broken/version333319.dm4": r"without the leading '\._'",
    "broken/zeros.dm4": "not a Gatan file",
    "dev/images/dev1_Ni.dm4": ((2048, 2048), REAL, 0.02, 0.02),
    "dev/images/dev2_NaF.dm4": ((2048, 2048), REAL, 0.026, 0.026),
    "dev/images/dev3_Ag_Si.dm3": ((2048, 2048), REAL, 0.024, 0.024),
    "dev/images/dev3_Ag_Si.dm4": ((2048, 2048), REAL, 0.024, 0.024),
    "dev/images/dev4_LiOH_Li2O_Cu.dm4": ((2048, 2048), REAL, 0.025, 0.025),
    "dev/images/dev5_Li3N_LiF.dm4": ((2048, 2560), REAL, 0.026595, 0.026595),
    "dev/images/dev6_nothing.dm4": ((2048, 2048), REAL, 0.024, 0.024),
    "dev/images/dev7_cryo_Li_LiH_Li2CO3.dm4": ((2048, 2048), REAL, 0.029, 0.029),
    "dev/images/dev8_small_Ni_NaF.dm4": ((4096, 4096), REAL, 0.022, 0.022),
    **{
        f"reports/{name}": ((512, 512), REAL, 0.02, 0.02)
        for name in (
            "ij_esc_angstrom.tif",
            "mrc_bigendian.mrc",
            "mrc_int8.mrc",
            "mrc_int8_as_int16.mrc",
            "ome_nm.ome.tif",
        )
    },
    **{f"reports/{name}": ((512, 512), NONE, 1, 1) for name in ("mrc_nocell_nomx.mrc", "plain_none.tif")},
    "reports/dm_tiny64.dm4": GOOD,
    "reports/nacl001.dm4": ((1024, 1024), REAL, 0.02, 0.02),
    **{f"reports/{name}_stop.dm4": ((1024, 1024), PATTERN, 0.02, 0.02) for name in ("nothing", "rings")},
    "strong/images/strong1_Au.dm4": ((2048, 2048), REAL, 0.02, 0.02),
    "strong/images/strong2_LiF.dm4": ((2048, 2048), REAL, 0.025, 0.025),
    "real_labelled/Ag_e.tif": ((500, 750), REAL, 0.03731343, 0.03731343),
    "real_labelled/Au_gb.tif": ((512, 512), REAL, 0.01261044, 0.01261044),
    "real_labelled/NIST_swnt50.tif": ((445, 478), REAL, 0.05319149, 0.05319149),
    "real_labelled/NSMO110.tif": ((898, 963), REAL, 0.01811321, 0.01811321),
    "real_labelled/PtIr.tif": ((512, 512), REAL, 0.01211, 0.01211),
    "real_labelled/Re_bpy_nocrystal.tif": ((1024, 1024), REAL, 0.0156, 0.0156),
    "real_labelled/STEMfit_oxides.tif": ((1258, 1258), REAL, 0.02674658, 0.02674658),
    "real_labelled/STO_Ge_half.tif": ((1522, 1521), REAL, 0.015636, 0.015636),
    "real_labelled/SeMoS2.dm3": ((1024, 1024), REAL, 0.0126953125, 0.0126953125),
    "real_labelled/ZrO2_f16.tif": ((1024, 1024), REAL, 0.05015527, 0.05015527),
    "real_labelled/carbon_Amorphous.tif": ((900, 1024), REAL, 0.03378378, 0.03378378),
    "real_labelled/carbon_Graphite.tif": ((920, 1024), REAL, 0.03378378, 0.03378378),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_comes_out_of_every_file(data_folder, name):
    expected = TABLE[name]
    if isinstance(expected, str):
        with pytest.raises(ReadError, match=expected) as caught:
            read_images(data_folder / name)
        assert caught.value.path == data_folder / name
        return
    (image,) = read_images(data_folder / name)
    assert (image.shape, image.calibration.space) == expected[:2]
    assert image.calibration.scale == pytest.approx(expected[2:], rel=2e-7)
    assert bool(image.warnings) == (expected[1] != REAL)


def test_the_table_names_every_file_of_its_folders(data_folder):
    suffixes, folders = SUFFIXES, {name.split("/")[0] for name in TABLE}
    files = (file for folder in folders for file in (data_folder / folder).rglob("*"))
    names = (file.relative_to(data_folder).as_posix() for file in files if file.suffix.lower() in suffixes)
    assert set(names) == set(TABLE)
