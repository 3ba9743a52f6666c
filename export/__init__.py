"""From a Keras model to `.tflite` files: quantization levels, metadata, contract, delegation report, gates."""
