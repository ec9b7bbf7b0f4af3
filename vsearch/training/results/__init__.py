"""Reports of finished training runs: metrics, plots, model card."""
