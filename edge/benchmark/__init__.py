"""`unet-benchmark run`: accuracy, latency and memory of models on this device, written as a report."""
