"""A live training of anyone's becomes Signals."""
