"""What pages for people share: how they log in."""
