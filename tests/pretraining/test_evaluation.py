"""``--eval-only``: published weights give their publisher's logits; ours match by class name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from mmdet.registry import MODELS
from PIL import Image
from torchvision.transforms._presets import ImageClassification

from lighthead.commands.pretrain_job import load_classifier
from lighthead.data import ImageFolderDataset
from lighthead.errors import UserError
from lighthead.weights import adapt_model_cfg

FACTORS = (0.5, 1.0, 1.5, 2.0)
STEM = 'shufflenet_v2_x'


def published(factor: float, tmp_path: Path) -> tuple[torch.nn.Module, Path]:
    """torchvision's network with weights and statistics that keep the logits apart."""
    theirs = torchvision.models.get_model(f'{STEM}{str(factor).replace(".", "_")}', weights=None)
    theirs.train()(torch.randn(4, 3, 64, 64))
    path = tmp_path / 'published.pth'
    torch.save(theirs.state_dict(), path)
    return theirs.eval(), path


@pytest.mark.parametrize('star', [False, True])
@pytest.mark.parametrize('factor', FACTORS)
def test_logits_from_a_file_equal_torchvisions(
    factor: float, star: bool, folder: Path, tmp_path: Path
) -> None:
    """From the image file on: resize, crop, colour order, mean, std, all layers."""
    theirs, path = published(factor, tmp_path)
    model_cfg = dict(
        type='PretrainingClassifier',
        backbone=dict(
            type='ShuffleNetV2',
            widen_factor=factor,
            star=star,
            init_cfg=dict(type='Pretrained', checkpoint=str(path)),
        ),
        data_preprocessor=dict(type='ImgDataPreprocessor'),
    )
    adapt_model_cfg(model_cfg)
    ours = MODELS.build(model_cfg)
    load_classifier(ours, str(path))
    ours.eval()
    dataset = ImageFolderDataset(str(folder), 'val', test_mode=True)
    data = {name: value[None] for name, value in dataset[3].items()}
    preset = ImageClassification(crop_size=224)
    with Image.open(dataset.path_and_label(3)[0]) as image, torch.no_grad():
        expected = theirs(preset(image.convert('RGB'))[None])
        logits = ours(ours.data_preprocessor(data)['inputs'])
    assert expected.std() > 1e-3
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_the_command_evaluates_published_weights(
    run: Callable, folder: Path, tmp_path: Path, capsys
) -> None:
    """A classifier of six classes whose last layer answers 'checks' to everything."""
    network = torchvision.models.shufflenet_v2_x0_5(num_classes=6)
    torch.nn.init.zeros_(network.fc.weight)
    network.fc.bias.data = torch.tensor([0.0, 9.0, 1.0, 2.0, 3.0, 4.0])
    torch.save(network.state_dict(), tmp_path / 'published.pth')
    run(tmp_path / 'run', options=dict(eval_only=str(tmp_path / 'published.pth')))
    figures = json.loads((tmp_path / 'run/metrics.json').read_text())
    assert figures['imagenet/top1'] == pytest.approx(100 / 6)
    assert figures['imagenet/top5'] == pytest.approx(500 / 6)
    assert 'imagenet/top1 16.667' in capsys.readouterr().out
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_our_own_checkpoint_on_some_of_its_classes(
    run: Callable, folder: Path, tmp_path: Path
) -> None:
    work_dir = run(tmp_path / 'run', train_cfg__max_steps=1)
    for name in ('noise', 'disc'):
        shutil.copytree(folder / 'val' / name, tmp_path / 'some/val' / name)
    options = dict(eval_only=str(work_dir / 'epoch_1.pth'), data_root=str(tmp_path / 'some'))
    run(tmp_path / 'evaluation', options=options)
    figures = json.loads((tmp_path / 'evaluation/metrics.json').read_text())
    assert set(figures) == {'imagenet/top1', 'imagenet/top5'}
    (tmp_path / 'some/val/disc').rename(tmp_path / 'some/val/unheard-of')
    with pytest.raises(UserError, match='unheard-of is none of the 6 classes'):
        run(tmp_path / 'evaluation', options=options)


def test_weights_that_do_not_fit_are_refused(run: Callable, tmp_path: Path) -> None:
    _, path = published(0.5, tmp_path)
    with pytest.raises(UserError, match='1000 classes on 1024 channels, 6 classes'):
        run(tmp_path / 'run', options=dict(eval_only=str(path)))
    state_dict = torch.load(path, weights_only=True)
    torch.save({k: v for k, v in state_dict.items() if not k.startswith('conv5')}, path)
    with pytest.raises(UserError, match=r'lacks conv5\.1'):
        run(tmp_path / 'run', options=dict(eval_only=str(path)))


def test_fine_tuning_starts_from_the_published_classifier(run: Callable, tmp_path: Path) -> None:
    """What configs/pretrain/shufflev2star_from_v2.py relies on: v2's weights, fc included."""
    theirs, path = published(1.0, tmp_path)
    model_cfg = dict(
        type='PretrainingClassifier',
        backbone=dict(
            type='ShuffleNetV2',
            star=True,
            norm_eval=True,
            init_cfg=dict(type='Pretrained', checkpoint=str(path)),
        ),
    )
    model = MODELS.build(model_cfg)
    model.init_weights()
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.train()(image), theirs(image), atol=1e-5, rtol=1e-5)
