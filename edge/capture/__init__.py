"""Live capture: from a camera to one sharp, upright crop of each card that is shown."""
