"""See ARCHITECTURE.md: what this room is for."""
