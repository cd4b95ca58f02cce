"""A run becomes a bundle: one model with its preprocessing, proved equal to the trained one."""
