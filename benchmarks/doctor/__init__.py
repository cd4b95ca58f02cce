"""The fault benchmark: faults put into small real trainings, and healthy trainings that are hard."""
