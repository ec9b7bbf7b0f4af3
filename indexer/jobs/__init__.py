"""Background jobs: the queue in SQL, workers, the schedule, alerts."""
