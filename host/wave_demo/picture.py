"""Pictures of a wave: levels of 8 bits, colours, and a PNG of several frames."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["NEGATIVE", "POSITIVE", "contact_sheet", "levels", "png"]

#: Colours of the largest positive and negative displacement, red, green and blue; zero has the colour of the page.
POSITIVE: Final = (217, 95, 2)
NEGATIVE: Final = (27, 120, 180)
_ZERO: Final = 128
_PAGE: Final = (255, 255, 255)
#: Frames of a contact sheet: rows and columns, and pixels between them.
_SHEET: Final = (2, 4)
_GAP: Final = 8
#: Least width and height of a frame in pixels.
_PIXELS: Final = 192

_Bytes = npt.NDArray[np.uint8]


def levels(psi: npt.NDArray[np.int32]) -> _Bytes:
    """Return displacements as levels: 128 is 0, and 1 and 255 are the largest displacement of all frames.

    Levels grow with the square root of the displacement, so that weak waves are seen beside strong ones.

    Parameters
    ----------
    psi : int32 array of any shape

    Returns
    -------
    uint8 array of the same shape, 1 to 255
    """
    share = psi.astype(np.float64) / max(1, int(np.abs(psi.astype(np.int64)).max(initial=0)))
    signed = np.copysign(np.sqrt(np.abs(share)), share)
    found: _Bytes = (_ZERO + np.rint(127 * signed)).astype(np.uint8)
    return found


def contact_sheet(shown: _Bytes) -> bytes:
    """Return a PNG of eight frames, evenly chosen from the first to the last, in reading order.

    Parameters
    ----------
    shown : uint8 array of shape (F, H, W)
        Levels of at least one frame.
    """
    rows, columns = _SHEET
    picked = shown[np.linspace(0, len(shown) - 1, rows * columns).round().astype(int)]
    scale = max(1, -(-_PIXELS // max(shown.shape[1:])))
    tiles = _coloured(picked).repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = tiles.shape[1:3]
    sheet = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), _PAGE, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * (height + _GAP), number % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = tile
    return png(sheet)


def png(pixels: _Bytes) -> bytes:
    """Return an image as a PNG file of 8 bits a channel.

    Parameters
    ----------
    pixels : uint8 array of shape (H, W, 3)
        Red, green and blue; at least one pixel.
    """
    height, width, _ = pixels.shape
    # Each line begins with its filter, 0 for none.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    words = [(struct.pack(">I", len(data)), kind + data) for kind, data in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(size + text + struct.pack(">I", zlib.crc32(text)) for size, text in words)


def _coloured(shown: _Bytes) -> _Bytes:
    """Return levels as red, green and blue, from the page's colour to the sign's."""
    signed = (shown.astype(np.float64) - _ZERO)[..., np.newaxis] / 127
    ends = np.where(signed >= 0, np.array(POSITIVE), np.array(NEGATIVE))
    colours: _Bytes = np.rint(np.array(_PAGE) + np.abs(signed) * (ends - np.array(_PAGE))).astype(np.uint8)
    return colours
