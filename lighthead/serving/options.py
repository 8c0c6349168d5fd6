"""What ``lighthead serve`` and ``lighthead demo`` were asked to do."""

from dataclasses import dataclass, field

from lighthead.inference.detector_options import RuntimeOptions

MIB = 2**20


@dataclass
class ServeOptions(RuntimeOptions):
    """The command line; see ``lighthead serve --help``."""

    checkpoint: str
    host: str = '127.0.0.1'
    port: int = 8000
    allowed_host: list[str] | None = None
    batch_size: int = field(default=4, kw_only=True)
    batch_window: float = 2.0
    queue: int = 32
    max_upload: float = 20.0
    max_pixels: float = 50.0
    upload_timeout: float = 30.0
    page: bool = False

    @property
    def upload_bytes(self) -> int:
        """Largest content of an upload."""
        return int(self.max_upload * MIB)

    @property
    def pixels(self) -> int:
        """Most pixels of an image."""
        return int(self.max_pixels * 1e6)
