"""What may not stand in names and addresses that go into mails, invoices and logs."""

import unicodedata

_UNSEEN = {"Cc", "Zl", "Zp", "Cs"}  # controls, line and paragraph separators, lone surrogates


def has_control_characters(text: str) -> bool:
    """Whether a text holds something that is no printed character: a NUL, a line break, a tab."""
    return any(unicodedata.category(character) in _UNSEEN for character in text)
