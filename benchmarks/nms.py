"""NMS that stops when it has enough, against torchvision's, in one run.

Measured per call, in float32, from boxes and scores to the indices kept: the suppression of an
RPN's proposals and of detections within each class. Inputs and competitors:
lighthead/gpu_report/operators.py.

    python benchmarks/nms.py --threads 2
"""

import torch
from comparison import make_parser, run_groups

from lighthead.gpu_report.operators import suppression_groups


def main() -> None:
    """Measure both suppressions at several densities and print the table."""
    args = make_parser(__doc__).parse_args()
    torch.manual_seed(args.seed)
    run_groups(list(suppression_groups(torch.device(args.device))), args, 'NMS')


if __name__ == '__main__':
    main()
