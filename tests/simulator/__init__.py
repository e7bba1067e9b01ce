"""Tests of the Stripe simulator, driven through the real `stripe` library over HTTP."""
