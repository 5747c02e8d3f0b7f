from napari_tem_fft.core.text import factor, frequency, in_unit, length, signed, spacing


def test_a_length_is_as_exact_in_either_unit():
    assert spacing(0.23514, 0.00012) == "0.2351 ± 0.0001 nm"
    assert spacing(0.23514, 0.00012, "angstrom") == "2.351 ± 0.001 Å"
    assert spacing(0.2, 0.00002) == "0.2000 ± 0.00002 nm"  # and not nothing
    assert (signed(0.004), signed(-0.004), signed(-1.0, 1)) == ("0.00", "0.00", "-1.0")
    assert (spacing(0.23514), length(0.23514, digits=3)) == ("0.2351 nm", "0.235")
    assert (frequency(4.2528), frequency(4.2528, "angstrom")) == ("4.253 nm⁻¹", "0.4253 Å⁻¹")
    assert in_unit(0.2, "nm") == 0.2 and in_unit(0.2, "angstrom") == 0.2 * factor("angstrom") == 2.0
