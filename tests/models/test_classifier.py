"""The classifier takes torchvision's complete state dicts and gives its logits."""

import pytest
import torch
import torchvision

from lighthead.models.backbones import ShuffleNetV2
from lighthead.models.classifier import ImageClassifier

REFERENCES = [
    *(
        (f'shufflenet_v2_x{str(factor).replace(".", "_")}', dict(type='ShuffleNetV2'), factor)
        for factor in (0.5, 1.0, 1.5, 2.0)
    ),
    ('mobilenet_v2', dict(type='StagedMobileNetV2'), 1.0),
]


@pytest.mark.parametrize(('name', 'cfg', 'factor'), REFERENCES)
def test_logits_equal_torchvisions(name: str, cfg: dict, factor: float) -> None:
    theirs = torchvision.models.get_model(name, weights=None).eval()
    image = torch.randn(4, 3, 64, 64)
    theirs.train()(image)  # statistics that keep the logits from vanishing
    theirs.eval()
    ours = ImageClassifier(dict(cfg, widen_factor=factor)).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        logits, expected = ours(image), theirs(image)
    assert expected.std() > 1e-3
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_its_own_state_dict_loads_again_and_strictly() -> None:
    a = ImageClassifier(dict(type='ShuffleNetV2', widen_factor=0.5), num_classes=5)
    b = ImageClassifier(dict(type='ShuffleNetV2', widen_factor=0.5), num_classes=5)
    b.load_state_dict(a.state_dict())
    assert all(torch.equal(a.state_dict()[k], v) for k, v in b.state_dict().items())
    with pytest.raises(RuntimeError, match=r'backbone\.unknown'):
        b.load_state_dict({**a.state_dict(), 'unknown': torch.zeros(1)})


def test_classifies_the_last_map_of_a_backbone_or_config() -> None:
    backbone = ShuffleNetV2(0.5, out_indices=(0, 2))
    assert ImageClassifier(backbone, 7).fc.weight.shape == (7, 192)
    from_config = ImageClassifier(dict(type='ShuffleNetV2', widen_factor=0.5), 7, dropout=0.5)
    assert from_config.fc.weight.shape == (7, 1024)
    assert from_config(torch.randn(2, 3, 64, 64)).shape == (2, 7)
