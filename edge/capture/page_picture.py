"""The picture on the page: small, with the card outlined in its state's colour.

Stands apart because it draws and encodes, and knows no server.
"""

from __future__ import annotations

import cv2

from unetlite.edge.capture.loop import View
from unetlite.edge.capture.states import State
from unetlite.vision.image import RgbImage

_WIDTH = 800  # pixels: enough for a phone, a tenth of a camera's bytes
_JPEG_QUALITY = 70
_COLOURS = {  # RGB, the page's own
    State.SEARCHING: (160, 160, 160),
    State.ADJUSTING: (255, 170, 40),
    State.HOLD_STILL: (70, 170, 255),
    State.CAPTURED: (60, 220, 100),
    State.REMOVE: (60, 220, 100),
}


def encode_view(image: RgbImage, view: View) -> bytes:
    """The view, whose image this is, as a JPEG of at most 800 pixels' width."""
    height, width = image.shape[:2]
    scale = min(1.0, _WIDTH / width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA) if scale < 1.0 else image.copy()
    if view.quad is not None:
        points = (((view.quad + 0.5) * scale - 0.5) * 16).round().astype("int32")[:, None]
        for colour, line_width in (((0, 0, 0), 7), (_COLOURS[view.step.state], 4)):
            cv2.polylines(picture, [points], True, colour, line_width, cv2.LINE_AA, 4)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
