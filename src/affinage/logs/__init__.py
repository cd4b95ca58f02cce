"""What others wrote of a training becomes Signals."""
