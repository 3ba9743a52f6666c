"""What runs on the device: interpreter, segmenter, sources, benchmark. Never imports TensorFlow by itself."""
