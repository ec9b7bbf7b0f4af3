"""Sources of labeled images, which are decoded once and cached with their targets."""
