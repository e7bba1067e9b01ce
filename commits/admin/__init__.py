"""The finance admin of promises: commits, closes, true-ups and credits."""

from commits.admin import closes, commits, credits, explanations, true_ups, waivers

__all__ = ["closes", "commits", "credits", "explanations", "true_ups", "waivers"]
