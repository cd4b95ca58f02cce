"""Rows and a model become features or predictions; the only place that runs a model forward."""
