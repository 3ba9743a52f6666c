"""The vocabulary every other folder speaks: contract, image, mask, quad, dataset, metrics.

Stands apart because training, calibration, export and the device must share one meaning of a pixel;
it needs NumPy and OpenCV only.
"""
