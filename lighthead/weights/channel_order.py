"""Where Megvii's ShuffleNetV2 keeps the channels of torchvision's; see ``layouts.py``."""


def channel_order(channels: int) -> list[int]:
    """For each of our channels, Megvii's: ``ours[:, i] == megvii[:, order[i]]`` in a stage.

    :mod:`lighthead.weights.layouts` explains it.
    """
    half = channels // 2
    order = [0] * channels
    for position in range(1, channels):
        k = (position & -position).bit_length() - 1
        born = position >> k
        while born < half:
            born *= 2
        order[position] = born >> k
    return order
