"""`unet-benchmark remote`: the benchmark on other machines over OpenSSH, their reports brought back."""
