"""Pictures on disk on their way into training: download, prepare, input pipeline."""
