"""A bundle over HTTP: bounded in memory, in time and on disk, whatever is sent."""
