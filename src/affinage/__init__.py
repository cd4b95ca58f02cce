"""Affinage."""
