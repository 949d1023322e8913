"""The contents of PartWorld's families: parts, textures, layouts and classes. Tables only; nothing is drawn here.

A class is an arrangement: a layout, and which part stands in which of its three slots.

    layout     slots 0, 1, 2                    layout     slots 0, 1, 2
    stack      top, middle, bottom              row        one end, middle, other end
    peak       apex above, left, right          corner     top, corner (lower left), side (lower right)
    valley     left, right, apex below          hook       corner (upper left), side (upper right), bottom

Pictures are mirrored left to right at random, so the two sides of peak and valley and the two ends of row are one.

    family   parts   textures   layouts   classes (parts in slot order)
    base     old     old        old       stack  DXT TXD RSB BSR   peak DXT XDT RSB SRB   valley TXD BRS
    near     old     old        old       stack  DSB BSD XRT TRX   peak DSB SDB RXT XRT   valley BDS TXR
    mid      new     old        old       stack  KAO OAK VFE EFV   peak KAO AKO VFE FVE   valley OAK EVF
    far      new     new        new       corner KAO OKA VFE EVF   hook KAO AOK VFE FEV   row    AKO VFE

    D disc  R ring  S square  T triangle  X cross  B bar          old textures: solid stripes checks dots
    K crescent  A star  O dome  V chevron  F frame  E tee         new textures: grid bricks zigzag weave

In every family each part occurs in five of the ten classes, each set of three parts in five, and each layout in four or
two. So whoever knows which parts are there, and nothing else, is right one time in five at best; whoever knows the
layout alone, three times in ten. Colour, texture, orientation, place, size and turn are drawn independently of the
class, and so is, for each part by itself, whether it is brighter or darker than the ground.
"""

from dataclasses import dataclass

PARTS = (
    "disc", "ring", "square", "triangle", "cross", "bar",
    "crescent", "star", "dome", "chevron", "frame", "tee",
)  # fmt: skip
TEXTURES = ("solid", "stripes", "checks", "dots", "grid", "bricks", "zigzag", "weave")
ORIENTATIONS = ("horizontal", "falling", "vertical", "rising")
HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")
SPLITS = ("train", "val", "test")

# Where the centres of the three slots lie, in units of the spacing; x to the right, y down.
LAYOUTS = {
    "stack": ((0.0, -1.0), (0.0, 0.0), (0.0, 1.0)),
    "peak": ((0.0, -0.6), (-0.6, 0.45), (0.6, 0.45)),
    "valley": ((-0.6, -0.45), (0.6, -0.45), (0.0, 0.6)),
    "row": ((-1.0, 0.0), (0.0, 0.0), (1.0, 0.0)),
    "corner": ((-0.52, -0.52), (-0.52, 0.52), (0.52, 0.52)),
    "hook": ((-0.52, -0.52), (0.52, -0.52), (-0.52, 0.52)),
}

_LETTERS = dict(zip("DRSTXBKAOVFE", PARTS, strict=True))
_OLD_PARTS, _NEW_PARTS = PARTS[:6], PARTS[6:]
_OLD_TEXTURES, _NEW_TEXTURES = TEXTURES[:4], TEXTURES[4:]


@dataclass(frozen=True)
class Family:
    """One family: its vocabulary, and its ten classes as (layout, parts of slots 0, 1, 2)."""

    name: str
    parts: tuple[str, ...]
    textures: tuple[str, ...]
    layouts: tuple[str, ...]
    arrangements: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Ten class names such as "stack disc-cross-triangle", in the order of the labels."""
        return tuple(f"{layout} {'-'.join(parts)}" for layout, parts in self.arrangements)


def _family(name: str, parts: tuple[str, ...], textures: tuple[str, ...], **arrangements: str) -> Family:
    """A family from its row of the table above: for each layout, the parts of its classes as words of three letters."""
    classes = tuple(
        (layout, tuple(_LETTERS[letter] for letter in word))
        for layout, words in arrangements.items()
        for word in words.split()
    )
    return Family(name, parts, textures, tuple(arrangements), classes)


# The order here numbers the random streams: a family added later goes to the end.
FAMILIES = {
    family.name: family
    for family in (
        _family("base", _OLD_PARTS, _OLD_TEXTURES,
                stack="DXT TXD RSB BSR", peak="DXT XDT RSB SRB", valley="TXD BRS"),
        _family("near", _OLD_PARTS, _OLD_TEXTURES,
                stack="DSB BSD XRT TRX", peak="DSB SDB RXT XRT", valley="BDS TXR"),
        _family("mid", _NEW_PARTS, _OLD_TEXTURES,
                stack="KAO OAK VFE EFV", peak="KAO AKO VFE FVE", valley="OAK EVF"),
        _family("far", _NEW_PARTS, _NEW_TEXTURES,
                corner="KAO OKA VFE EVF", hook="KAO AOK VFE FEV", row="AKO VFE"),
    )
}  # fmt: skip


def family_named(name: str) -> Family:
    """The family of this name. Raises ValueError, naming the families there are."""
    if name not in FAMILIES:
        raise ValueError(f"family={name!r} is not a PartWorld family; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
