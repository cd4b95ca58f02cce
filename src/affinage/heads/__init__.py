"""Models on features: a linear head fitted to its optimum, and the nearest neighbour."""
