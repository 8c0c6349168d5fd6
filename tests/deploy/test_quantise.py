"""The quantised graph: what is quantised, by which scales, and how close its numbers are."""

import copy

import numpy as np
import pytest

from lighthead.deploy.equalise import equalise, factors_of, pairs_of
from lighthead.deploy.observe import Observed, observe
from lighthead.deploy.quantise import BIAS_STEPS, Scale, quantise, scale_of, weight_steps
from lighthead.deploy.quantised_tensors import quantised_convolutions, scale_groups

from .conftest import need

SHAPE = (1, 3, 12, 16)


@pytest.fixture(scope='module')
def graph():
    """A small network of the detector's kind.

    Two convolutions with LeakyReLU, halves of which are put together for a depthwise one; the
    thin map, and the RPN's scores behind a convolution of its own.
    """
    need('onnx')
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, constants = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(values, name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=f'{output}_node', **attributes))

    def conv(source, output, shape, bias=True, **attributes):
        weights = (rng.standard_normal(shape) * 0.4 + 0.05).astype(np.float32)
        inputs = [source, constant(f'{output}_w', weights)]
        if bias:
            inputs.append(constant(f'{output}_b', rng.standard_normal(shape[0]).astype(np.float32)))
        pads = [shape[2] // 2] * 4
        node('Conv', inputs, output, pads=pads, **attributes)

    conv('images', 'a', (4, 3, 3, 3))
    node('LeakyRelu', ['a'], 'a_act', alpha=0.1)
    conv('images', 'b', (4, 3, 1, 1), bias=False)
    node('Relu', ['b'], 'b_act')
    ends = [constant(name, np.array([value])) for name, value in (('0', 0), ('2', 2), ('axis', 1))]
    for name in ('a', 'b'):
        node('Slice', [f'{name}_act', *ends], f'{name}_half')
    node('Concat', ['a_half', 'b_half'], 'halves', axis=1)
    conv('halves', 'depthwise', (4, 1, 3, 3), group=4)
    conv('depthwise', 'thin_map', (6, 4, 1, 1))
    conv('a_act', 'rpn', (4, 4, 3, 3))
    conv('rpn', 'rpn_scores', (2, 4, 1, 1))
    value = helper.make_tensor_value_info
    outputs = [
        value(name, TensorProto.FLOAT, [1, count, *SHAPE[2:]])
        for name, count in (('thin_map', 6), ('rpn_scores', 2))
    ]
    images = value('images', TensorProto.FLOAT, SHAPE)
    return helper.make_model(
        helper.make_graph(nodes, 'network', [images], outputs, constants),
        opset_imports=[helper.make_opsetid('', 18)],
        ir_version=10,
    )


@pytest.fixture(scope='module')
def inputs():
    rng = np.random.default_rng(1)
    return [dict(images=rng.standard_normal(SHAPE).astype(np.float32)) for _ in range(4)]


def run(model, feeds):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, feeds)


def test_what_is_quantised(graph) -> None:
    names = [node.output[0] for node in quantised_convolutions(graph)]
    assert names == ['a', 'b', 'depthwise', 'thin_map', 'rpn']


def test_what_is_concatenated_shares_a_scale(graph) -> None:
    groups = scale_groups(graph, quantised_convolutions(graph))
    assert set(groups) == {'images', 'a_act', 'b_act', 'depthwise'}
    assert groups['a_act'] == groups['b_act']
    assert len(set(groups.values())) == 3


def test_numbers_stay_close(graph, inputs) -> None:
    from onnx import checker

    quantised = quantise(graph, inputs)
    checker.check_model(quantised, full_check=True)
    for feeds in inputs:
        for exact, rounded in zip(run(graph, feeds), run(quantised, feeds), strict=True):
            assert np.abs(exact - rounded).mean() < 0.05 * exact.std()
            assert (exact != rounded).any()


def test_all_but_the_outputs_of_the_rpn_is_read_in_8_bits(graph, inputs) -> None:
    quantised = quantise(graph, inputs)
    makers = {output: node.op_type for node in quantised.graph.node for output in node.output}
    kinds = {
        node.output[0]: {makers.get(name) for name in node.input}
        for node in quantised.graph.node
        if node.op_type == 'Conv'
    }
    assert kinds.pop('rpn_scores') == {'Conv', None}
    assert kinds.pop('depthwise') == {'DequantizeLinear', 'Concat'}  # of tensors with one scale
    assert all(kind == {'DequantizeLinear'} for kind in kinds.values())
    assert len(kinds) == 4


def test_the_mean_survives_coarse_weights(graph, inputs, monkeypatch) -> None:
    """Weights of few steps shift every output; the bias takes the shift back."""
    monkeypatch.setattr('lighthead.deploy.quantise.WEIGHT_STEPS', 4)
    shift = []
    for correct in (True, False):
        if not correct:
            monkeypatch.setattr('lighthead.deploy.quantise.observe', without_means)
        quantised = quantise(graph, inputs)
        means = [
            [run(model, feeds)[0].mean(axis=(0, 2, 3)) for feeds in inputs]
            for model in (graph, quantised)
        ]
        shift.append(np.abs(np.mean(means[0], axis=0) - np.mean(means[1], axis=0)).mean())
    assert shift[0] < 0.5 * shift[1]


def without_means(*args):
    """Observations that say every mean is zero."""
    return {name: one._replace(mean=0 * one.mean) for name, one in observe(*args).items()}


def test_zero_has_a_byte_of_its_own() -> None:
    ranges = {'low': (-1.0, 3.0), 'high': (2.0, 9.2), 'other': (-50.0, 50.0), 'empty': (0.0, 0.0)}
    groups = {'low': 'shared', 'high': 'shared', 'other': 'other', 'empty': 'empty'}
    seen = {
        name: Observed(np.array([[low]]), np.array([[high]]), np.zeros((1, 1)))
        for name, (low, high) in ranges.items()
    }
    step, zero = scale_of('shared', groups, seen)
    assert step == pytest.approx(10.2 / 255)
    assert zero.dtype == np.uint8
    assert zero == 25
    assert scale_of('empty', groups, seen) == Scale(np.array(1.0), np.array(0))


def test_a_channel_without_weights_keeps_its_bias() -> None:
    weights = np.zeros((3, 2, 1, 1))
    weights[0], weights[1] = 0.5, 1e-12
    steps = weight_steps(weights, np.array([1.0, 5.0, 0.0]), 0.02)
    assert steps[0] == pytest.approx(0.5 / 127)
    assert 5.0 / (steps[1] * 0.02) <= BIAS_STEPS * 1.001
    assert steps[2] == 1


def test_equalising_changes_no_result(graph, inputs) -> None:
    changed = copy.deepcopy(graph)
    equalise(changed, inputs)
    for exact, same in zip(run(graph, inputs[0]), run(changed, inputs[0]), strict=True):
        np.testing.assert_allclose(same, exact, atol=1e-4)


def test_weights_of_two_pairs_are_scaled_once(graph, inputs) -> None:
    """As the levels of a pyramid share a head."""
    from onnx import helper

    shared = copy.deepcopy(graph)
    halves, thin = (
        next(node for node in shared.graph.node if node.output[0] == name)
        for name in ('depthwise', 'thin_map')
    )
    for node, reads, writes in ((halves, 'a_act', 'again'), (thin, 'again', 'thin_map_1')):
        twin = copy.deepcopy(node)
        twin.name, twin.input[0], twin.output[0] = f'{writes}_node', reads, writes
        shared.graph.node.append(twin)
    info = copy.deepcopy(shared.graph.output[0])
    info.name = 'thin_map_1'
    shared.graph.output.append(info)
    changed = copy.deepcopy(shared)
    equalise(changed, inputs)
    for exact, same in zip(run(shared, inputs[0]), run(changed, inputs[0]), strict=True):
        np.testing.assert_allclose(same, exact, atol=1e-4)
    weights = {entry.name: entry.raw_data for entry in changed.graph.initializer}
    assert weights['depthwise_w'] != next(
        entry.raw_data for entry in shared.graph.initializer if entry.name == 'depthwise_w'
    )
    shared.graph.node.append(helper.make_node('Identity', ['depthwise_w'], ['else']))
    changed = copy.deepcopy(shared)
    equalise(changed, inputs)
    assert changed == shared  # the weights have a use that cannot be scaled along


def test_equalised_channels_are_alike(graph, inputs) -> None:
    pairs = {pair.tensor: pair for pair in pairs_of(graph)}
    assert set(pairs) == {'depthwise'}  # the others have a second reader, or are sliced
    changed = copy.deepcopy(graph)
    equalise(changed, inputs)
    before, after = (observe(model, pairs, inputs)['depthwise'].peaks for model in (graph, changed))
    assert after.max() / after.min() < before.max() / before.min()
    np.testing.assert_allclose(factors_of(np.array([1.0, 4.0]), None), [0.5, 2.0])
    np.testing.assert_allclose(factors_of(np.array([1.0, 4.0]), np.array([1.0, 4.0])), [1.0, 1.0])
    assert np.isfinite(factors_of(np.zeros(3), np.array([0.0, 1.0, 2.0]))).all()
