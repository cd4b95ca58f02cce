"""What predictions are worth: scores with intervals, goals, comparisons, thresholds."""
