import threading

import pytest
import torch
from brain_tumor.errors import BusyError
from brain_tumor.server.http.replies import error_reply
from brain_tumor.server.tasks.admission import InferenceGate
from brain_tumor.server.tasks.cache import ByteCache

DEADLINE_S = 20


def test_the_least_recently_used_value_falls_out_first():
    cache = ByteCache(100)
    cache.put("a", "A", 40)
    cache.put("b", "B", 40)
    assert cache.get("a") == "A"  # now b is the older one
    cache.put("c", "C", 40)
    assert cache.get("b") is None
    assert cache.get("a") == "A"
    assert cache.get("c") == "C"
    assert cache.size_bytes == 80


def test_the_cache_never_holds_more_than_its_capacity():
    cache = ByteCache(100)
    for i in range(50):
        cache.put(i, str(i), 7 + i % 30)
        assert cache.size_bytes <= 100
    cache.put("huge", "x", 101)
    assert cache.get("huge") is None


def test_a_value_that_does_not_fit_replaces_the_old_one_all_the_same():
    cache = ByteCache(100)
    cache.put("a", "old", 10)
    cache.put("a", "new", 101)
    assert cache.get("a") is None
    assert cache.size_bytes == 0


def test_replacing_a_value_counts_it_once():
    cache = ByteCache(100)
    cache.put("a", "old", 60)
    cache.put("a", "new", 70)
    assert cache.get("a") == "new"
    assert cache.size_bytes == 70
    assert len(cache) == 1


def test_a_value_is_made_once():
    cache, made = ByteCache(100), []

    def make():
        made.append(1)
        return "value"

    assert cache.get_or_make("k", make, len) == "value"
    assert cache.get_or_make("k", make, len) == "value"
    assert made == [1]
    cache.clear()
    cache.get_or_make("k", make, len)
    assert made == [1, 1]


def test_a_failed_making_leaves_nothing_behind():
    cache = ByteCache(100)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_make("k", lambda: 1 // 0, lambda _: 1)
    assert len(cache) == 0


def test_the_cache_survives_many_threads():
    cache = ByteCache(1000)

    def work(seed):
        for i in range(300):
            key = (seed * 31 + i) % 40
            cache.get_or_make(key, lambda key=key: [key], lambda _: 50)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert cache.size_bytes == 50 * len(cache) <= 1000


class Visitor(threading.Thread):
    """Enters a gate, waits to be let go, and notes what happened."""

    def __init__(self, gate, queue=True):
        super().__init__(daemon=True)
        self.gate, self.queue = gate, queue
        self.inside, self.leave = threading.Event(), threading.Event()
        self.error = None
        self.start()

    def run(self):
        try:
            with self.gate.admitted(queue=self.queue):
                self.inside.set()
                self.leave.wait(DEADLINE_S)
        except BusyError as error:
            self.error = error


def test_one_runs_the_bounded_rest_waits_and_the_next_is_refused():
    gate = InferenceGate(at_once=1, waiting=1)
    first = Visitor(gate)
    assert first.inside.wait(DEADLINE_S)
    second = Visitor(gate)
    deadline = threading.Event()
    while gate._inside < 2 and not deadline.wait(0.01):
        pass
    with pytest.raises(BusyError, match="2 inferences run or wait"), gate.admitted():
        pass
    assert not second.inside.is_set()
    first.leave.set()
    assert second.inside.wait(DEADLINE_S)
    second.leave.set()
    second.join(DEADLINE_S)
    with gate.admitted():  # free again
        pass


def test_nobody_waits_for_background_work_which_rests_at_its_next_step():
    gate, told, step = InferenceGate(at_once=1, waiting=0), [], threading.Event()

    class Background(Visitor):
        def run(self):
            with self.gate.admitted(queue=False):
                self.inside.set()
                step.wait(DEADLINE_S)
                told.append("step")
                torch.nn.Identity()(torch.zeros(1))
                told.append("done")

    background = Background(gate)
    assert background.inside.wait(DEADLINE_S)
    visitor = Visitor(gate)
    assert visitor.inside.wait(DEADLINE_S)  # beside the background work
    step.set()
    while "step" not in told:
        pass
    told.append("visitor leaves")
    visitor.leave.set()
    background.join(DEADLINE_S)
    assert told == ["step", "visitor leaves", "done"]


def test_background_work_does_not_begin_while_somebody_is_inside():
    gate = InferenceGate(at_once=1, waiting=0)
    visitor = Visitor(gate)
    assert visitor.inside.wait(DEADLINE_S)
    background = Visitor(gate, queue=False)
    while not gate._background.locked():
        pass
    assert not background.inside.is_set()
    visitor.leave.set()
    assert background.inside.wait(DEADLINE_S)
    background.leave.set()


def test_background_work_inside_background_work_does_not_wait_for_itself():
    gate = InferenceGate()
    with gate.admitted(queue=False), gate.admitted(queue=False):
        pass


def test_networks_of_people_never_rest():
    gate = InferenceGate()
    with gate.admitted():
        torch.nn.Identity()(torch.zeros(1))


@pytest.mark.parametrize(("usual_s", "told_s"), [(0.0, 5), (0.2, 1), (12.3, 13), (900.0, 60)])
def test_who_is_refused_hears_when_a_place_is_free(usual_s, told_s):
    gate = InferenceGate(at_once=1, waiting=0)
    gate._usual_s = usual_s
    with gate.admitted(), pytest.raises(BusyError) as refused, gate.admitted():
        pass
    assert error_reply(refused.value).headers["Retry-After"] == str(told_s)
    assert error_reply(BusyError("a batch is running already")).headers["Retry-After"] == "5"


def test_a_visitor_that_waits_too_long_is_refused_and_leaves_no_trace():
    gate = InferenceGate(at_once=1, waiting=1, patience_s=0.05)
    first = Visitor(gate)
    assert first.inside.wait(DEADLINE_S)
    with pytest.raises(BusyError, match="no free processor"), gate.admitted():
        pass
    first.leave.set()
    first.join(DEADLINE_S)
    assert gate._inside == 0


def test_a_failure_inside_gives_the_place_back():
    gate = InferenceGate(at_once=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.admitted():
            raise ZeroDivisionError
