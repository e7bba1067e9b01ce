"""Cuts real processes off at every moment that they have, and compares the books afterwards."""
