"""`unet-doctor`: whether this machine can do what it is meant to, and what mends it."""
