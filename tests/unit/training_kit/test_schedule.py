import pytest
from brain_tumor.training_kit.schedule import warm_up_then_cosine, warm_up_under_cosine


def test_the_cosine_begins_where_the_warm_up_ends():
    assert warm_up_then_cosine(0, 110, 10) == pytest.approx(0.1)
    assert warm_up_then_cosine(9, 110, 10) == pytest.approx(1.0)
    assert warm_up_then_cosine(10, 110, 10) == pytest.approx(1.0)
    assert warm_up_then_cosine(60, 110, 10) == pytest.approx(0.5)
    assert warm_up_then_cosine(110, 110, 10) == pytest.approx(0.0)
    assert warm_up_then_cosine(500, 110, 10) == pytest.approx(0.0)  # never up again


def test_the_warm_up_holds_the_cosine_down():
    assert warm_up_under_cosine(0, 0.0, 10) == pytest.approx(0.1)
    assert warm_up_under_cosine(9, 0.0, 10) == pytest.approx(1.0)
    assert warm_up_under_cosine(4, 0.5, 10) == pytest.approx(0.25)  # 0.5 of both
    assert warm_up_under_cosine(500, 0.5, 10) == pytest.approx(0.5)
    assert warm_up_under_cosine(999, 1.0, 10) == pytest.approx(0.0)
