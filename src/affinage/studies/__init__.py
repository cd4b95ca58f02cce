"""Questions become trials, and trials an answer; it asks and is told, and trains nothing itself."""
