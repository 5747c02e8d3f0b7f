from napari_tem_fft.core.progress import Step, exhaust, renumber_steps


def work():
    yield Step("one", 1, 2, "first")
    yield Step("two", 2, 2)
    return "result"


def test_steps_are_told_and_the_result_comes_back():
    told = []
    assert exhaust(work(), told.append) == exhaust(work()) == "result"
    assert [(step.name, step.done, step.total, step.product) for step in told] == [
        ("one", 1, 2, "first"),
        ("two", 2, 2, None),
    ]


def test_a_part_of_a_longer_work_counts_on():
    told = []
    assert exhaust(renumber_steps(work(), 3, 7), told.append) == "result"
    assert [(step.name, step.done, step.total) for step in told] == [("one", 4, 7), ("two", 5, 7)]
