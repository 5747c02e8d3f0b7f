import pytest

from napari_tem_fft.batch.backends import (
    largest_pixels,
    memory_of,
    parse_memory,
    share_searched,
    worker_memory,
    workers_within,
)
from napari_tem_fft.batch.sources import Source, find_sources
from napari_tem_fft.cli.batch import memory_words


@pytest.mark.parametrize(
    ("text", "size"), [("3G", 3e9), ("800 MB", 8e8), ("1.5GiB", 1.5e9), ("2e", None), (".", None)]
)
def test_sizes_of_memory(text, size):
    if size is None:
        with pytest.raises(ValueError, match="not a memory size"):
            parse_memory(text)
    else:
        assert parse_memory(text) == size


def test_a_limit_holds_as_many_workers_as_the_formula_says():
    pixels = 4096.0**2
    for count in (1, 2, 7):
        assert workers_within(memory_of(count, pixels) + 1, pixels) == count
        assert memory_of(2, pixels) < 3e9
    with pytest.raises(ValueError, match=r"one worker needs 0.96 GB"):
        workers_within(5e8, pixels)


def test_what_is_not_searched_of_a_spectrum_needs_less_memory(images, tmp_path):
    sources = find_sources([images, tmp_path / "gone.dm4"], tmp_path).sources
    assert share_searched(sources) == pytest.approx((2 * 10.7 * 0.03) ** 2)
    assert share_searched([]) == 1.0
    (tmp_path / "note.dm4").write_text("no image")
    assert share_searched([Source(0, str(tmp_path / "note.dm4"), "note")]) == 1.0
    pixels = 4096.0**2
    limit = memory_of(4, pixels)
    assert workers_within(limit + 1, pixels) == 4
    assert workers_within(limit + 1, pixels, share=0.25) == 7


def test_the_largest_file_counts(images, tmp_path):
    pixels = largest_pixels(find_sources([images, tmp_path / "gone.dm4"], tmp_path).sources)
    assert pixels == pytest.approx(300 * 280, rel=0.05)


def test_a_cluster_is_told_what_a_worker_needs(tmp_path):
    (tmp_path / "a.dm4").write_bytes(bytes(2 * 4096 * 4096))
    words = memory_words([Source(0, str(tmp_path / "a.dm4"), "a.dm4")])
    assert "about 0.79 GB" in words and "16.8 million pixels" in words
    assert worker_memory(1e6) == pytest.approx(memory_of(2, 1e6) - memory_of(1, 1e6))
