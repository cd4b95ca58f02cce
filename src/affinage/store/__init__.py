"""Where things lie: data-set and run folders, atomic writes, caches by content; the only place that knows file names."""
