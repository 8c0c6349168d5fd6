"""Exported files: standard operators, answers like torch's, metadata, and refusals."""

import sys

import numpy as np
import pytest
import torch

from lighthead import Detector
from lighthead.checkpoint.preprocess_settings import PreprocessSettings
from lighthead.commands import export_job as command
from lighthead.commands.export_job import export, load_for_export, write_export
from lighthead.deploy.check_export import CASES, check_export
from lighthead.deploy.eager_suppression import eager_detector
from lighthead.deploy.metadata import ExportMeta, dense_outputs
from lighthead.errors import UserError
from lighthead.inference.runtimes.exported import open_exported

from ..command_line import parse
from ..small_detector import CATEGORY_IDS, CLASSES, small_config, write_checkpoint
from .conftest import need

RUNTIMES = [('onnx', 'onnxruntime'), ('onnx', 'openvino'), ('openvino', 'openvino')]
RUNTIMES += [('ncnn', 'ncnn'), ('torch', 'torch')]


@pytest.mark.parametrize(('name', 'backend'), RUNTIMES)
def test_agrees_with_torch(name, backend, exported, detector_model):
    need(backend)
    runtime, _ = open_exported(exported(name), backend, threads=1, trust=True)
    results = check_export(detector_model, runtime)
    assert len(results) == len(CASES) + 1
    assert all(result.ok for result in results.values()), {k: str(v) for k, v in results.items()}
    assert sum(result.total for result in results.values()) > 100


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'backend'), RUNTIMES[-1:] + RUNTIMES[:1])
def test_images_with_one_detection_or_none(name, backend, checkpoint, detector_model, tmp_path):
    need(name)
    images = torch.rand(1, 3, 128, 160) * 255
    sizes = torch.tensor([[128.0, 160.0]])
    scores = eager_detector(detector_model)(images, sizes).scores[0]
    for count, least in enumerate((scores[0] + 0.01, scores[:2].mean())):
        args = parse('export', checkpoint, format=name, out='unused', score_thr=least.item())
        folder = tmp_path / str(count)
        folder.mkdir()
        path = write_export(*load_for_export(args), name, folder)
        runtime, _ = open_exported(path, backend, threads=1, trust=True)
        assert [len(found.scores) for found in runtime(images, sizes)] == [count]


def test_only_standard_onnx_operators(exported):
    path = exported('onnx')
    import onnx

    from lighthead.deploy.export_onnx import OPSET, foreign_domains

    model = onnx.load(str(path))
    assert foreign_domains(model) == []
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [('', OPSET)]
    assert not model.functions
    names = {output for node in model.graph.node for output in node.output}
    assert set(dense_outputs(1)) <= names
    sides = model.graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_param or side.dim_value for side in sides] == ['batch', 3, 'height', 'width']


def test_openvino_fuses_every_convolution_with_its_bias(exported):
    """It did not, as long as it asked the first convolution for the batch size."""
    path = exported('openvino')
    import openvino as ov

    settings = dict(INFERENCE_PRECISION_HINT='f32')
    compiled = ov.Core().compile_model(path, 'CPU', settings)
    kinds = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        kinds[node.get_friendly_name()] = str(node.get_rt_info()['layerType'].value)
        for entry in node.inputs():
            source = entry.get_source_output().get_node().get_friendly_name()
            assert (kinds[node.get_friendly_name()], kinds[source]) != ('ShapeOf', 'Convolution')
    assert list(kinds.values()).count('Convolution') > 20


def test_foreign_operators_are_found(exported):
    path = exported('onnx')
    import onnx

    from lighthead.deploy.export_onnx import foreign_domains, save_onnx

    model = onnx.load(str(path))
    model.graph.node[5].domain = 'com.microsoft'
    assert foreign_domains(model) == ['com.microsoft']
    with pytest.raises(UserError, match=r'com\.microsoft'):
        save_onnx(model, path.with_name('foreign.onnx'))


@pytest.mark.parametrize(('name', 'backend'), RUNTIMES)
def test_detector_from_the_file_alone(name, backend, exported, checkpoint):
    need(backend)
    image = np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)
    expected = Detector(checkpoint, score_thr=0.0, device='cpu')
    detector = Detector(exported(name), backend=backend, score_thr=0.0, threads=1, trust=True)
    assert detector.classes == CLASSES
    assert detector.category_ids == CATEGORY_IDS
    assert detector.preprocess == expected.preprocess
    found, wanted = detector(image), expected(image)
    assert len(found) == len(wanted) > 10
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=0.05)
    assert found.names == wanted.names


def test_a_list_of_images_of_different_sizes(exported):
    detector = Detector(exported('onnx'), score_thr=0.0, batch_size=2, threads=1)
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for height, width in [(96, 120), (64, 200), (96, 119)]
    ]
    for together, image in zip(detector(images), images, strict=True):
        alone = detector(image)
        assert together.image_size == image.shape[:2]
        np.testing.assert_allclose(together.scores, alone.scores, atol=1e-5)


def test_openvino_in_bf16_keeps_coordinates_exact(exported):
    need('openvino')
    import openvino as ov

    if 'BF16' not in ov.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        pytest.skip('this processor has no bf16')
    image = np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)
    full = Detector(exported('onnx'), backend='openvino', score_thr=0.0)(image)
    half = Detector(exported('onnx'), backend='openvino', precision='bf16', score_thr=0.0)(image)
    assert abs(float(half.scores[0] - full.scores[0])) < 0.05
    assert len(np.unique(half.boxes.round(2))) > len(half)  # not on a coarse grid


def test_openvino_in_bf16_with_a_backbone_that_shuffles(tmp_path):
    """Its shuffles ask for the batch size within the part that is cut off."""
    need('openvino')
    import openvino as ov

    if 'BF16' not in ov.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        pytest.skip('this processor has no bf16')
    cfg = small_config(score_thr=0.0)
    cfg.model.backbone.type = 'AuthorsShuffleNetV2'
    path = write_checkpoint(cfg, tmp_path / 'detector.pth')
    model, meta = load_for_export(parse('export', path, out='unused.onnx'))
    file = write_export(model, meta, 'onnx', tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)
    full = Detector(file, backend='openvino', score_thr=0.0)(image)
    half = Detector(file, backend='openvino', precision='bf16', score_thr=0.0)(image)
    assert len(full) == len(half) == 100
    assert abs(float(half.scores[0] - full.scores[0])) < 0.05


def make_meta(**preprocess) -> ExportMeta:
    return ExportMeta(
        classes=CLASSES,
        category_ids=CATEGORY_IDS,
        preprocess=PreprocessSettings(scale=(1333, 800), pad_divisor=32, **preprocess),
        version='1',
    )


def test_metadata_round_trip():
    meta = make_meta(mean=(1.0, 2.0, 3.0))
    assert ExportMeta.from_strings(meta.to_strings(), 'x') == meta


def test_files_that_can_run_code_need_trust(exported):
    with pytest.raises(UserError, match='trust=True'):
        Detector(exported('torch'))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'classes': None}, 'was not written by'),
        ({'preprocess': '{"scale": 3, "nonsense": 1}'}, 'is refused: preprocess'),
        ({'preprocess': '{"scale": [100000, 100000], "pad_divisor": 32}'}, 'preprocess.scale'),
        ({'preprocess': '{"scale": null, "pad_divisor": 7}'}, 'pad_divisor'),
        ({'classes': '["a"]'}, '1 classes and 3 category ids'),
        ({'classes': '1.5'}, 'is refused: classes'),
        ({'precision': '"fp8"'}, 'is refused: precision'),
        ({'settings': '{"nms_pre": 1e30}'}, 'is refused: settings'),
        ({'classes': '[' * 10**5}, 'damaged'),
        ({'format': '99'}, 'update lighthead'),
    ],
)
def test_bad_metadata(change, message):
    strings = make_meta().to_strings() | change
    strings = {key: value for key, value in strings.items() if value is not None}
    with pytest.raises(UserError, match=message):
        ExportMeta.from_strings(strings, 'x.onnx')


def test_command_writes_and_checks(checkpoint, tmp_path, capsys):
    need('onnx')
    out = tmp_path / 'detector.onnx'
    export(parse('export', checkpoint, out=out, score_thr=0.2, nms_pre=200))
    printed = capsys.readouterr().out
    assert 'opset 18' in printed
    assert 'three images of different sizes' in printed
    assert [path.name for path in tmp_path.iterdir()] == ['detector.onnx']
    _, meta = open_exported(out)
    assert meta.settings.score_thr == 0.2
    assert meta.settings.max_proposals == 200


def test_nothing_is_left_where_the_answers_differ(checkpoint, tmp_path, monkeypatch):
    need('onnx')

    def shifted(path, **kwargs):
        backend, meta = open_exported(path)
        return lambda *inputs: [(b + 1, s, k) for b, s, k in backend(*inputs)], meta

    monkeypatch.setattr(command, 'open_exported', shifted)
    with pytest.raises(UserError, match='does not agree with torch'):
        export(parse('export', checkpoint, out=tmp_path / 'detector.onnx'))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(format='onnx', out='detector.xml'), r'has to end in \.onnx'),
        (dict(format='onnx', out='nowhere/detector.onnx'), 'does not exist'),
        (dict(format='torch', out='detector.pt2', int8=True), 'onnx or openvino'),
        (dict(format='ncnn', out='detector.ncnn.param', int8=True), 'onnx or openvino'),
        (dict(format='ncnn', out='detector.param'), r'has to end in \.ncnn\.param'),
        (dict(format='onnx', out='detector.onnx', int8=True), 'needs --calib'),
        (dict(format='onnx', out='detector.onnx', calib='x'), 'only for --int8'),
    ],
)
def test_options_that_do_not_fit(options, message, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        export(parse('export', checkpoint, **options))


def test_arguments_of_the_detector_that_do_not_fit(checkpoint, exported, tmp_path):
    with pytest.raises(UserError, match='runs exported files'):
        Detector(checkpoint, backend='onnxruntime')
    with pytest.raises(UserError, match='is no file'):
        Detector(tmp_path / 'missing.onnx')
    with pytest.raises(UserError, match='threads=0'):
        Detector(checkpoint, threads=0)
    path = exported('onnx')
    with pytest.raises(UserError, match='choose from fp32'):
        Detector(path, precision='bf16')
    with pytest.raises(UserError, match='cannot run'):
        Detector(path, backend='torch')
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match='it is no ONNX file'):
        Detector(broken)


def test_missing_package_names_the_extra(exported, monkeypatch):
    path = exported('onnx')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(UserError, match=r"pip install 'lighthead\[export\]'"):
        Detector(path)


def test_other_padding_is_refused(tmp_path):
    cfg = small_config()
    cfg.model.data_preprocessor.pad_size_divisor = 1
    path = write_checkpoint(cfg, tmp_path / 'detector.pth')
    with pytest.raises(UserError, match='pad_size_divisor'):
        export(parse('export', path, out=tmp_path / 'detector.onnx'))


def test_unmatched_detections_need_an_explanation(detector_model):
    from lighthead.deploy.check_export import compare_batch
    from lighthead.deploy.exportable_suppression import exportable_detector

    module = exportable_detector(detector_model)

    def run(images, sizes):
        found = module(images, torch.tensor(sizes).float())
        return [tuple(values[0, 1 : found.num[0]] for values in found[:3])]  # the best is lost

    result = compare_batch(module, run, torch.randn(1, 3, 96, 128), [(96, 128)])
    assert not result.ok
    assert 'only torch has' in str(result)
