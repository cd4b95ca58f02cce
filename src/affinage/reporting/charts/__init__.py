"""Charts as SVG, drawn here so that a report is small and needs no script."""
