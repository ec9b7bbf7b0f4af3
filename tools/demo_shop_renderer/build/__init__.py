"""From parameters to geometry: meshes are made by numpy, then handed to Blender with their surfaces."""
