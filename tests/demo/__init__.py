"""`make demo`: a year's contracts lived through in a few minutes, on a real trace, over REST."""
