"""Rooms: walls, floors, windows, light; planned in `staging`, built here."""
