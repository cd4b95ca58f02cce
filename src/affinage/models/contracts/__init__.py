"""The contract of a user's own parts: what a training relies on, tried on each of them."""
