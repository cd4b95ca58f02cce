"""Records become a report, and a report html, markdown or terminal."""
