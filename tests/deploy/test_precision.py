"""Names of precisions: what each device can compute in, and that fp32 means fp32."""

import pytest
import torch

from lighthead.deploy.precision import check_precision, possible_precisions, tf32
from lighthead.errors import UserError

SWITCHES = (torch.backends.cudnn, torch.backends.cuda.matmul)


@pytest.mark.parametrize(
    ('device', 'capability', 'expected'),
    [
        ('cpu', None, ['fp32', 'bf16']),
        ('cuda', (7, 5), ['fp32', 'fp16']),
        ('cuda', (9, 0), ['fp32', 'fp16', 'tf32', 'bf16']),
    ],
)
def test_possible_precisions(monkeypatch, device, capability, expected):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: capability >= (8, 0))
    assert possible_precisions(torch.device(device)) == expected
    for name in ('fp32', 'tf32', 'bf16', 'fp16'):
        if name in expected:
            check_precision(torch.device(device), name)
        else:
            with pytest.raises(UserError, match=f"precision='{name}' is not possible"):
                check_precision(torch.device(device), name)


def test_unknown_names():
    with pytest.raises(UserError, match="no precision 'int4'"):
        check_precision(torch.device('cpu'), 'int4')


@pytest.mark.parametrize('allowed', [True, False])
def test_tf32_holds_in_the_block_alone(allowed):
    before = [switch.allow_tf32 for switch in SWITCHES]

    def fail_inside() -> None:
        with tf32(allowed):
            assert [switch.allow_tf32 for switch in SWITCHES] == [allowed, allowed]
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert [switch.allow_tf32 for switch in SWITCHES] == before
