"""What the name of a precision promises, in every command that takes one.

========  ==================================================================================
``fp32``  float32 throughout; TF32 is off, on GPUs that have it too
``tf32``  float32 whose products CUDA may round to TF32 (10 bits of mantissa); elsewhere fp32
``fp16``  convolutions and fully connected layers in half precision
``bf16``  the same in bfloat16
========  ==================================================================================

torch's own default is neither: convolutions may use TF32, matrix products may not. Timings
keep ``cudnn.benchmark`` on, since their sizes repeat. Where image sizes change from call to
call it is off: each new size would be benchmarked first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

DTYPES = {
    'fp32': torch.float32,
    'tf32': torch.float32,
    'bf16': torch.bfloat16,
    'fp16': torch.float16,
}
"""By name of the precision: what convolutions and fully connected layers compute in."""


@contextmanager
def float32_products(precision: str, cudnn_benchmark: bool = False) -> Iterator[None]:
    """Allow TF32 for ``'tf32'`` alone, and set cuDNN's benchmark mode, for a while.

    The switches belong to the process: threads that run side by side share them.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
    cudnn.allow_tf32 = matmul.allow_tf32 = precision == 'tf32'
    cudnn.benchmark = cudnn_benchmark
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = before
