"""What every package uses: settings, errors, files and locks, progress."""
