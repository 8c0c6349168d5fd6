"""PS-RoI align against torchvision's kernel, in one run.

Measured per call: the whole operator from the map (as a convolution leaves it) to the pooled
features, float32, with the making of the table of rows included; "forward + backward" adds the
gradient of the map from a given gradient of the output. Inputs and competitors:
lighthead/gpu_report/operators.py.

    python benchmarks/ps_roi_align.py --threads 2
"""

import torch
from comparison import make_parser, run_groups

from lighthead.gpu_report.operators import pooling_groups


def main() -> None:
    """Measure all sizes and print the table."""
    args = make_parser(__doc__).parse_args()
    torch.manual_seed(args.seed)
    run_groups(list(pooling_groups(torch.device(args.device))), args, 'PS-RoI align')


if __name__ == '__main__':
    main()
