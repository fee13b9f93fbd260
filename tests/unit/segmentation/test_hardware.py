"""How many threads read slices."""

import pytest
import torch
from brain_tumor.segmentation.hardware import threads_for_slices


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("slices", "threads"), [(1, 1), (2, 1), (3, 3), (36, 3)])
def test_one_or_two_slices_are_read_by_one_thread_and_more_by_all(three_threads, slices, threads):
    with threads_for_slices(slices):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3


def test_the_threads_are_back_after_an_error(three_threads):
    with pytest.raises(ValueError, match="broken"), threads_for_slices(1):
        raise ValueError("broken")
    assert torch.get_num_threads() == 3
