"""Text from an unknown source, made fit to be shown."""


def printable(text: str) -> str:
    """`text` without anything that a terminal would obey, except the ends of lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def plain(value: object, longest: int = 200) -> str:
    """`str(value)` without anything that a terminal would obey, cut to `longest` characters."""
    text = printable(str(value)[: longest + 1]).replace("\n", "\\n")
    return text if len(text) <= longest else text[:longest] + "..."
