"""What a catalog manager should look at."""
