"""The catalog report, for catalog managers."""
