"""One line of text as a mask: Pillow renders it, OpenCV where Pillow is not installed.

The font is DejaVu Sans, which comes with matplotlib (a dependency of mmdet), so that
no font of the system is needed. A name in a script that this font lacks is drawn with
a font of the system that has it, and otherwise as the number of its class. Without
matplotlib, Pillow's own font takes names in ASCII.
"""

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont


@lru_cache(maxsize=1024)
def text_mask(text: str, fallback: str, font_size: int) -> np.ndarray:
    """Coverage (h, w) in 0..1 of a line of text with a margin.

    Args:
        text: What to write.
        fallback: Written instead where no font has all characters of ``text``.
        font_size: In pixels.
    """
    try:
        from PIL import ImageFont
    except ImportError:
        return _opencv_mask(text if text.isascii() else fallback, font_size)
    path = font_for(text)
    if path is None and not (text.isascii() and default_font() is None):
        text, path = fallback, default_font()
    font = ImageFont.truetype(path, font_size) if path else ImageFont.load_default(font_size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow was built without FreeType
        return _opencv_mask(text if text.isascii() else fallback, font_size)
    return _pillow_mask(text, font, font_size)


def _pillow_mask(text: str, font: 'FreeTypeFont', font_size: int) -> np.ndarray:
    from PIL import Image, ImageDraw

    margin = max(2, font_size // 6)
    ascent, descent = font.getmetrics()
    size = (round(font.getlength(text)) + 2 * margin, ascent + descent + margin)
    canvas = Image.new('L', size)
    ImageDraw.Draw(canvas).text((margin, margin // 2), text, fill=255, font=font)
    return np.asarray(canvas, np.float32) / 255


def _opencv_mask(text: str, font_size: int) -> np.ndarray:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, font_size / 30
    thickness = max(1, round(font_size / 15))
    (width, height), below = cv2.getTextSize(text, font, scale, thickness)
    margin = max(2, font_size // 6)
    canvas = np.zeros((height + below + margin, width + 2 * margin), np.uint8)
    origin = (margin, height + margin // 2)
    cv2.putText(canvas, text, origin, font, scale, 255, thickness, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


@cache
def default_font() -> str | None:
    """The file of DejaVu Sans; None where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return None
    return str(Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf')


def font_for(text: str) -> str | None:
    """File of a font that has all characters of ``text``; None where there is none."""
    if default_font() is None:
        return None
    return _font_with(frozenset(ord(character) for character in text if not character.isspace()))


@lru_cache(maxsize=1024)
def _font_with(wanted: frozenset[int]) -> str | None:
    # matplotlib's LastResort font claims every character and shows a frame for it.
    if wanted <= characters_of(default_font()):
        return default_font()
    from matplotlib import font_manager

    files = {entry.fname for entry in font_manager.fontManager.ttflist}
    real = sorted(file for file in files if 'LastResort' not in Path(file).name)
    return next((file for file in real if wanted <= characters_of(file)), None)


@lru_cache(maxsize=256)
def characters_of(path: str) -> frozenset[int]:
    """Code points that a font file has glyphs for; none where it cannot be read."""
    from matplotlib import ft2font

    try:
        return frozenset(ft2font.FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
