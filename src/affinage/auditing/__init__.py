"""What the owner of a data set should know before any training: findings from a manifest."""
