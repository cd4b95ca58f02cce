"""Numbers from arrays: scores, calibration and intervals, each with its source."""
