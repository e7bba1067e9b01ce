"""The proof: the real services on a real PostgreSQL against the independent oracle."""
