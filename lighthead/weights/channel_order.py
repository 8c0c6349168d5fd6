"""Where Megvii's ShuffleNetV2 keeps the channels of torchvision's; see ``megvii_v2.py``."""


def channel_order(channels: int) -> list[int]:
    """For each channel here, Megvii's: ``here[:, i] == megvii[:, order[i]]`` in a stage.

    :mod:`lighthead.weights.megvii_v2` explains it.
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
