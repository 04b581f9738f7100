"""Runs and searches as one HTML page."""
