"""`unet-benchmark compare`: reports of many devices as one table, one page, and a choice of model."""
