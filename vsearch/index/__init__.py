"""FAISS indexes by class, joined in a gallery and published as a generation."""
