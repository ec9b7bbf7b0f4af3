"""Settings, errors, files, locks and progress callbacks, used by every package."""
