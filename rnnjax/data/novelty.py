"""How much of a generated text is copied from the training text."""


def longest_copied(text: str, source: str) -> str:
    """The longest substring of a text that stands in the source, the first of its length."""
    best_start, best_end = 0, 0
    start = 0
    while start + (best_end - best_start) < len(text):
        end = start + (best_end - best_start) + 1
        if text[start:end] in source:
            best_start, best_end = start, end
        else:
            start += 1
    return text[best_start:best_end]
