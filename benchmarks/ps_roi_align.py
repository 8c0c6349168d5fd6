"""PS-RoI align, ours against torchvision's kernel, in one run.

Measured per call: the whole operator from the map (B = 1, 490 channels, 10 per
bin, as a convolution leaves it) to the pooled (K, 10, 7, 7), float32, with the
making of the table of rows included; "forward + backward" adds the gradient of
the map from a given gradient of the output. The maps are those of an 800x1200
image at strides 16 (50x76 after padding) and 32 (25x38); K = 1000 RoIs as in
testing and 4000 as in training with two images. torchvision has no maximum:
ours is set beside its average. RoIs are random, sides 16 to 512 px, clipped.

    python benchmarks/ps_roi_align.py --threads 2
"""

from collections.abc import Callable

import torch
import torchvision
from op_benchmark import make_parser, run_groups
from torch import Tensor

from lighthead.ops import ps_roi_align
from lighthead.speed.harness.timer import Workload

BINS = 7
CHANNELS = 10 * BINS * BINS
MAPS = ((50, 76, 16), (25, 38, 32))
"""Height, width, stride."""
COUNTS = (1000, 4000)


def make_rois(count: int, height: int, width: int) -> Tensor:
    """Random RoIs (count, 5) in an image of that size."""
    limit = torch.tensor([width, height], dtype=torch.float32)
    centre = torch.rand(count, 2) * limit
    half = 8 * 32 ** torch.rand(count, 2)
    low, high = (centre - half).clamp(min=0), torch.minimum(centre + half, limit)
    return torch.cat((torch.zeros(count, 1), low, high), dim=1)


def operators(rois: Tensor, scale: float) -> dict[str, Callable[[Tensor], Tensor]]:
    """The competitors, from a map to the pooled features."""
    return {
        'torchvision avg': lambda x: torchvision.ops.ps_roi_align(x, rois, BINS, scale, 2),
        'ours avg': lambda x: ps_roi_align(x, rois, BINS, scale, 2, 'avg'),
        'ours max': lambda x: ps_roi_align(x, rois, BINS, scale, 2, 'max'),
    }


def forward(operator: Callable[[Tensor], Tensor], features: Tensor) -> Callable[[], Tensor]:
    """A call that pools without a graph."""

    @torch.inference_mode()
    def call() -> Tensor:
        return operator(features)

    return call


def forward_backward(operator: Callable[[Tensor], Tensor], features: Tensor, grad: Tensor):
    """A call that pools and computes the gradient of the map."""
    features = features.clone().requires_grad_()
    return lambda: torch.autograd.grad(operator(features), features, grad)


def main() -> None:
    """Measure all sizes and print the table."""
    args = make_parser(__doc__).parse_args()
    torch.manual_seed(args.seed)
    groups = []
    for height, width, stride in MAPS:
        features = torch.randn(1, CHANNELS, height, width).to(args.device)
        for count in COUNTS:
            rois = make_rois(count, height * stride, width * stride).to(args.device)
            grad = torch.randn(count, CHANNELS // BINS**2, BINS, BINS).to(args.device)
            both = operators(rois, 1 / stride).items()
            case = f'{CHANNELS}x{height}x{width}, {count} RoIs'
            ahead = [Workload(key, forward(op, features)) for key, op in both]
            back = [Workload(key, forward_backward(op, features, grad)) for key, op in both]
            groups += [(f'{case}: forward', ahead), (f'{case}: forward + backward', back)]
    run_groups(groups, args, 'PS-RoI align')


if __name__ == '__main__':
    main()
