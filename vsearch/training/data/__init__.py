"""Sources of labeled images, decoded once and kept with their targets."""
