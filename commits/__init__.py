"""What was promised: commits, grants, drawdown, true-ups, quarter close, planning."""
