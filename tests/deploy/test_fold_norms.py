import torch
from torch import nn

from lighthead.deploy.fold_norms import fold_norms


def trained_norm(channels):
    """A batch norm with statistics and weights of its own."""
    norm = nn.BatchNorm2d(channels)
    for values in (norm.running_mean, norm.weight.data, norm.bias.data):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def test_folded_norms_leave_the_outputs_alone():
    net = nn.Sequential(trained_norm(3), nn.Conv2d(3, 4, 3), trained_norm(4), nn.ReLU()).eval()
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        before = net(images)
        fold_norms(net)
        torch.testing.assert_close(net(images), before, atol=1e-5, rtol=1e-5)
    assert [type(module) for module in net] == [nn.BatchNorm2d, nn.Conv2d, nn.Identity, nn.ReLU]


def test_norms_of_a_shared_convolution_are_folded_each_into_its_own():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    net = nn.ModuleList(nn.Sequential(conv, trained_norm(3)) for _ in range(2)).eval()
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        before = [branch(images) for branch in net]
        fold_norms(net)
        for branch, expected in zip(net, before, strict=True):
            torch.testing.assert_close(branch(images), expected, atol=1e-5, rtol=1e-5)
