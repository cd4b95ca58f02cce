"""Asking and showing on the terminal; the work itself is what `import affinage` offers."""
