"""Whole quarters told as stories, from outside: over REST, with Stripe simulated over HTTP."""
