"""Training the U-Net on a workstation: network, losses, data, fit.

Stands apart because it, with `export`, is where TensorFlow may be imported; no device installs it.
"""
