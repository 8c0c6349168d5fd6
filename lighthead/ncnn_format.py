"""The text of ncnn's networks (.param), line by line.

Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure.
"""

MAGIC = '7767517'
"""The first line; the second has the numbers of layers and of blobs."""
ARRAY = -23300
"""An array option ``key`` is written under ``ARRAY - key``, its length first."""


class Layer:
    """A line of a .param file: type, name, names of inputs and outputs, numbered options.

    Raises:
        ValueError: the line is none.
    """

    def __init__(self, line: str) -> None:
        self.kind, self.name, input_count, output_count, *rest = line.split()
        inputs, ends = int(input_count), int(input_count) + int(output_count)
        self.inputs, self.outputs = rest[:inputs], rest[inputs:ends]
        pairs = (option.split('=') for option in rest[ends:])
        self.options = {int(key): value for key, value in pairs}

    def number(self, key: int, default: int = 0) -> int:
        """An option that is a whole number."""
        return int(self.options.get(key, default))

    def real(self, key: int, default: float = 0.0) -> float:
        """An option that is a number."""
        return float(self.options.get(key, default))

    def array(self, key: int) -> list[float]:
        """An option that is a list of numbers."""
        return [float(value) for value in self.options[ARRAY - key].split(',')[1:]]
