"""What was used and what it costs: usage events, meters, rollups, price books, rating."""
