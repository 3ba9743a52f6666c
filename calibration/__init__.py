"""Choosing and auditing the representative data set that full-integer quantization learns its ranges from."""
