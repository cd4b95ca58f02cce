"""Where things lie: folders of data sets and runs, atomic writes, caches; only here are file names known."""
