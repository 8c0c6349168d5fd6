"""Recorded calls: which shapes are recorded, on which device, and what happens when that fails."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lighthead.deploy.cuda_graph import CudaGraphRecorder, RecordedCalls, Recording

from .fake_cuda import CpuRecorder, FakeCuda


def double(values: torch.Tensor) -> torch.Tensor:
    return values * 2


def check_calls(calls: RecordedCalls, sizes: Sequence[int]) -> None:
    """Call with random tensors of these sizes; every answer is right."""
    for size in sizes:
        values = torch.rand(size)
        assert torch.equal(calls(values), values * 2)


@pytest.mark.parametrize(
    ('sizes', 'expected'),
    [
        ((3, 4, 5, 6), ()),  # each came once
        ((3, 3, 3, 4, 5, 4), (3, 4)),
        # no room for 5, although it comes as often as the others
        ((3, 3, 4, 4, 5, 5, 3, 4, 5, 3, 4, 5), (3, 4)),
        # 5 comes twice as often as 4 did, which gives way and does not return at once
        ((3, 3, 3, 4, 4, 5, 5, 5, 5, 4, 4), (3, 4, 5)),
    ],
)
def test_the_shapes_that_come_most_often_are_recorded(sizes, expected):
    recorder = CpuRecorder()
    calls = RecordedCalls(double, recorder, limit=2)
    check_calls(calls, sizes)
    assert recorder.shapes == [(size,) for size in expected]
    assert len(calls.recordings) == min(len(expected), 2)


def test_an_answer_stays_after_later_calls():
    calls = RecordedCalls(double, CpuRecorder())
    answers = [calls(torch.full((3,), float(value))) for value in range(4)]
    assert [answer[0].item() for answer in answers] == [0, 2, 4, 6]


def test_threads_get_their_own_answers():
    calls = RecordedCalls(double, CpuRecorder())
    inputs = [torch.full((1000,), float(value)) for value in range(200)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(calls, inputs))
    assert all(torch.equal(answer, values * 2) for answer, values in zip(answers, inputs))


@pytest.mark.parametrize('index', [0, 1])
def test_records_on_the_device_of_the_detector(monkeypatch, index):
    """On the current device instead, the graph stays empty: all images get the first's boxes."""
    cuda = FakeCuda(launch_device=index).install(monkeypatch)
    calls = RecordedCalls(double, CudaGraphRecorder(torch.device('cuda', index)))
    for value in range(4):
        values = torch.full((3,), float(value))
        assert torch.equal(calls(values), values * 2)
        assert cuda.is_restored()
    (stream,) = cuda.captured_on
    assert stream.device.index == index
    assert stream is not cuda.default[index]
    assert cuda.default[index] in stream.waited_for
    assert stream in cuda.default[index].waited_for
    assert len(calls.recordings) == 1


def test_a_device_without_index_is_the_current_one(monkeypatch):
    FakeCuda().install(monkeypatch).index = 1
    assert CudaGraphRecorder(torch.device('cuda')).device == torch.device('cuda:1')


def test_all_graphs_share_one_pool(monkeypatch):
    cuda = FakeCuda().install(monkeypatch)
    calls = RecordedCalls(double, CudaGraphRecorder(torch.device('cuda')))
    for size in (3, 3, 4, 4):
        calls(torch.rand(size))
    assert len(cuda.pools) == 2
    assert len(set(map(id, cuda.pools))) == 1


def test_a_recording_that_fails(monkeypatch):
    """The stream is restored, the answer is the function's, and it is not tried again."""
    cuda = FakeCuda().install(monkeypatch)

    def synchronising(values):
        if cuda.capturing:
            raise RuntimeError('not permitted when stream is capturing')
        assert calls.lock.locked() or cuda.is_restored()
        return values * 2

    calls = RecordedCalls(synchronising, CudaGraphRecorder(torch.device('cuda')))
    with pytest.warns(RuntimeWarning, match='cannot be run as a CUDA graph') as caught:
        check_calls(calls, (3, 3, 3, 3, 4, 4, 4))
    assert cuda.is_restored()
    assert len(caught) == 1
    assert len(cuda.captured_on) == 2  # once per size
    assert not calls.recordings


def test_a_failure_leaves_the_other_recordings():
    recorder = CpuRecorder()
    calls = RecordedCalls(double, recorder, limit=1)
    for _ in range(2):
        calls(torch.rand(3))
    recorder.record = lambda function, inputs: 1 / 0
    with pytest.warns(RuntimeWarning, match='ZeroDivisionError'):
        check_calls(calls, [4] * 4)
    assert list(calls.recordings) == [(torch.Size([3]),)]


@pytest.mark.parametrize('fault', ['empty', 'constant'])
def test_a_recording_that_answers_wrongly_is_refused(fault):
    class Faulty(CpuRecorder):
        def record(self, function, inputs):
            recording = super().record(function, inputs)
            first = recording.output.clone()
            replay = {'empty': lambda: None, 'constant': lambda: recording.output.copy_(first)}
            return Recording(replay[fault], recording.inputs, recording.output)

    recorder = Faulty()
    calls = RecordedCalls(double, recorder)
    with pytest.warns(RuntimeWarning, match='its answer differs'):
        check_calls(calls, [5] * 3)
    assert len(recorder.shapes) == 1


def test_an_empty_graph_is_refused_even_where_all_answers_are_alike():
    recorder = CpuRecorder()
    recorder.record = lambda function, inputs: Recording(
        lambda: None, inputs, function(*inputs).clone()
    )
    calls = RecordedCalls(torch.zeros_like, recorder)
    calls(torch.rand(5))
    with pytest.warns(RuntimeWarning, match='its answer differs'):
        calls(torch.rand(5))
    assert not calls.recordings


def test_equal_answers_are_no_reason_to_refuse():
    calls = RecordedCalls(torch.zeros_like, CpuRecorder())
    for _ in range(3):
        calls(torch.rand(5))
    assert calls.recordings
