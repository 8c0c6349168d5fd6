"""The engine room: runner, training loop, checkpoints, hooks. Importing it registers them."""

from lighthead.engine import (  # noqa: F401  (they register)
    amp,
    ema,
    hooks,
    loop,
    optimizer_steps,
    runner,
    teacher,
)
