"""What a finished training reports: metrics, plots, model card."""
