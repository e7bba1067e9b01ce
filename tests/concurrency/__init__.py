"""Eight real processes do everything at once; the books say what one process would have made."""
