"""Names that were probably meant: every message about an unknown name ends in the same way."""

import difflib
from collections.abc import Iterable

SHORTEST_BEGINNING = 3  # letters


def did_you_mean(name: str, known: Iterable[str], most: int = 3) -> str:
    """ "did you mean 'train'?" for "trian"; "there are 'train', 'tour'" if no known name is close; "" without names.

    Small and capital letters are alike in the comparison. At most `most` names are suggested, the closest first; where
    none is close, names that begin as `name` does, or with which it begins, as "conv" with "convolution".
    """
    names = {each.lower(): each for each in known}
    close = [names[each] for each in difflib.get_close_matches(name.lower(), names, n=most)]
    if not close and len(name) >= SHORTEST_BEGINNING:
        begun = (each for each in names if each.startswith(name.lower()) or name.lower().startswith(each))
        close = [names[each] for each in begun if len(each) >= SHORTEST_BEGINNING][:most]
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"there are {', '.join(map(repr, names.values()))}" if names else ""
