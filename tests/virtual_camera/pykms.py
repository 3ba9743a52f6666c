"""Stands in for kms++, which picamera2 imports for its preview on a display: nothing here is ever called."""

from types import SimpleNamespace

PixelFormat = SimpleNamespace(RGB888=0, BGR888=0, XRGB8888=0, XBGR8888=0, YUV420=0, YVU420=0, NV12=0, MJPEG=0)
