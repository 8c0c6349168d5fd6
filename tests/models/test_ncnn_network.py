"""Networks in ncnn's format, written here byte by byte."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lighthead.errors import UserError
from lighthead.models.ncnn_network import NcnnNetwork

PARAM = """7767517
7 9
Input data 0 1 data
Convolution one 1 1 data a 0=4 1=3 -23310=1,1.000000e-01 3=2 4=1 5=1 6=108 9=2
Split split 1 2 a b c
ConvolutionDepthWise two 1 1 b d 0=4 1=3 3=1 4=1 5=1 6=36 7=4
BinaryOp add 2 1 c d e 0=0
Slice cut 1 2 e f g -23300=2,1,-233 1=0
Sigmoid score 1 1 f h
"""


@pytest.mark.parametrize('half', [True, False])
def test_computes_what_the_file_says(tmp_path, half) -> None:
    rng = np.random.default_rng(0)
    tag, kind = (0x01306B47, '<f2') if half else (0, '<f4')
    weights, blob = [], b''
    for shape in ((4, 3, 3, 3), (4, 1, 3, 3)):
        weight = rng.normal(size=shape).astype(kind)
        bias = rng.normal(size=4).astype('<f4')
        blob += tag.to_bytes(4, 'little') + weight.tobytes() + bias.tobytes()
        weights.append((torch.tensor(weight.astype('f4')), torch.tensor(bias)))
    (tmp_path / 'net.param').write_text(PARAM)
    (tmp_path / 'net.bin').write_bytes(blob)
    x = torch.randn(2, 3, 10, 10)
    network = NcnnNetwork(tmp_path / 'net.param', tmp_path / 'net.bin')
    result = network(dict(data=x), ['g', 'h'])
    a = F.leaky_relu(F.conv2d(x, *weights[0], stride=2, padding=1), 0.1)
    e = a + F.conv2d(a, *weights[1], padding=1, groups=4)
    assert result.keys() == {'g', 'h'}
    torch.testing.assert_close(result['g'], e[:, 1:])
    torch.testing.assert_close(result['h'], e[:, :1].sigmoid())
    inner = network(dict(b=a, c=a), ['g'])  # the layers before are not needed
    torch.testing.assert_close(inner['g'], result['g'])


def test_unknown_layers_and_missing_files_are_reported(tmp_path) -> None:
    (tmp_path / 'net.param').write_text('7767517\n1 1\nSwish s 1 1 a b\n')
    with pytest.raises(UserError, match='cannot be read'):
        NcnnNetwork(tmp_path / 'net.param', tmp_path / 'net.bin')
    (tmp_path / 'net.bin').write_bytes(b'')
    with pytest.raises(UserError, match='Swish'):
        NcnnNetwork(tmp_path / 'net.param', tmp_path / 'net.bin')
