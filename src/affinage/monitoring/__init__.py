"""What a deployed model sees, judged against what it was trained on: drift, accuracy, what to label."""
