"""FAISS indexes per class, combined in a gallery and published as a generation."""
