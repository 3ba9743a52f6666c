"""The procedural generator: document faces, poses, surfaces, light, camera, and their exact ground truth.

Stands apart because it needs no TensorFlow and is a data source like a camera, but one that knows the
answer.
"""
