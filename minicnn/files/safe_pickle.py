"""Reading pickles without running the functions that a pickle may ask to run.

A pickle is a program for a small machine with a stack and a memo. The program pushes numbers and text, collects them
into lists and dictionaries, and may name any function of any module and call that function: so a pickle from an unknown
source is dangerous.

    PROTO 2   EMPTY_DICT   MARK   "weight"   GLOBAL "os system"   "rm -r ~"   TUPLE1   REDUCE   SETITEMS   STOP
                                             ^ a name                                  ^ a call

Here is that machine with everything dangerous left out. The caller lists the names that are allowed and gives for each
a meaning of its own: a plain value, or a function of ours that takes plain data. Every other name is refused at once,
before anything is imported or called; or, if the caller's `others` says so, becomes a Placeholder, which keeps the name
and drops everything else. The result is made of dictionaries, lists, tuples, numbers, text, bytes, placeholders, and
the values that the caller's own functions return.

`pickle.Unpickler` with a `find_class` of one's own refuses names too, but a hostile file can still exhaust the machine:
a memo index of four billion takes as many places of memory, and a deeply nested tuple as a key overruns the C stack.
The standard library's `pickletools.genops` splits the bytes into instructions and their arguments, and runs nothing.
"""

import collections
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from minicnn.files.plain_text import plain

# Instructions one program may have. A large checkpoint has some 100,000, a batch of CIFAR-100 200,000. A call counts as
# one more for every item it is given: of one long list, a few bytes could have a copy made again and again.
MOST_INSTRUCTIONS = 3_000_000

Allowed = Mapping[tuple[str, str], Any]


class RefusedError(Exception):
    """The pickle asks for something that is not allowed; the message names the request."""


class Buildable:
    """Base class of objects that an allowed function returns and that the pickle then completes: BUILD passes a
    state."""

    def build(self, state: Any) -> None:
        """Take the state, after checking all of it: the file is not trusted."""
        raise NotImplementedError(f"{type(self).__name__} does not define build()")


class Placeholder(Buildable):
    """Stands for a function, a class or an object of another program. A call returns another placeholder; items and
    attributes are dropped."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, *arguments: Any) -> "Placeholder":
        return Placeholder(self.name)

    def build(self, state: Any) -> None:
        """Drop the attributes."""


class OtherKey:
    """Stands for a key of a dictionary that is not a number, text, bytes or None, such as a tuple.

    It is equal to itself only: a nested tuple is never hashed, because its hash may take years.
    """

    def __init__(self, kind: str):
        self.kind = kind


def load(
    file: BinaryIO,
    allowed: Allowed,
    *,
    persistent: Callable[[Any], Any] | None = None,
    strings: str = "utf-8",
    others: Callable[[str, str], Any] | None = None,
) -> Any:
    """The object in the pickle at the present position of `file`; afterwards the position is after the pickle.

    allowed      (module, name) -> the meaning of that name here: a plain value, or a function of ours
    persistent   returns the object that is stored outside of the pickle, by its identity
    strings      how the text of Python 2 is encoded; "bytes" does not decode
    others       returns a Placeholder for a (module, name) that is not in `allowed`, or None to refuse it; with
                 `others`, sets and keys such as tuples become placeholders too

    Raises RefusedError for a name that is not allowed, and whatever damaged bytes run into: ValueError, KeyError, ...
    """
    machine = _Machine(allowed, persistent, strings, others)
    for instruction, argument, _ in pickletools.genops(file):
        machine.charge(1)
        if instruction.name == "STOP":
            return machine.pop()
        step = _STEPS.get(instruction.name)
        if step is None:
            raise _unneeded(instruction.name)
        step(machine, argument)
    raise ValueError("the pickle ends before its STOP")


def _unneeded(instruction: str) -> RefusedError:
    return RefusedError(f"it uses the instruction {instruction}, which plain data does not need")


def names(file: BinaryIO) -> Iterator[str]:
    """Every "module.name" that the pickle at the present place of `file` asks for; nothing is imported or run.

    Ends without a word where the bytes are damaged: for a report on the contents of a file.
    """
    texts: collections.deque[str] = collections.deque(maxlen=2)  # STACK_GLOBAL takes the last two from the stack
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
            if count == MOST_INSTRUCTIONS:
                return
            if instruction.name == "STACK_GLOBAL":
                yield ".".join(texts)
            elif isinstance(argument, str):
                texts.append(argument)
                if instruction.name in ("GLOBAL", "INST"):
                    yield ".".join(argument.split(" ", 1))
    except Exception:  # a damaged pickle can fail in any way
        return


class _Machine:
    """The stack, the marks in it, and the memo. A mark remembers how high the stack was."""

    def __init__(
        self,
        allowed: Allowed,
        persistent: Callable[[Any], Any] | None,
        strings: str,
        others: Callable[[str, str], Any] | None,
    ):
        self.allowed, self.persistent, self.strings, self.others = allowed, persistent, strings, others
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.work = 0

    def charge(self, work: int) -> None:
        self.work += work
        if self.work > MOST_INSTRUCTIONS:
            raise RefusedError(f"it has more than {MOST_INSTRUCTIONS:,} instructions, or makes copies without end")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise ValueError("the pickle takes a mark for a value")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        height = self.marks.pop()
        taken = self.stack[height:]
        del self.stack[height:]
        return taken

    def pop_tuple(self, length: int) -> None:
        values = [self.pop() for _ in range(length)]
        self.push(tuple(reversed(values)))

    def text_of_python_2(self, argument: str) -> None:
        content = argument.encode("latin-1")  # pickletools decodes the bytes of old strings so
        self.push(content if self.strings == "bytes" else content.decode(self.strings))

    def name(self, module: Any, name: Any) -> None:
        if (module, name) in self.allowed:
            self.push(self.allowed[module, name])
            return
        placeholder = None if self.others is None else self.others(module, name)
        if placeholder is None:
            raise RefusedError(f"it asks for {plain(module)}.{plain(name)}")
        self.push(placeholder)

    def name_from_stack(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("the pickle names something by other than text")
        self.name(module, name)

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not callable(function):  # what can be called here is one of the caller's own functions
            raise RefusedError(f"it calls a {type(function).__name__}, which is not a function")
        if not isinstance(arguments, tuple):
            raise ValueError("the pickle calls a function without a tuple of arguments")
        self.charge(sum(len(argument) for argument in arguments if isinstance(argument, (list, tuple, dict))))
        self.push(function(*arguments))

    def new_object(self, instruction: str, operands: int) -> None:
        """An object of a class, which can only be a placeholder: the class is called without its arguments."""
        kind = [self.pop() for _ in range(operands)][-1]
        if not isinstance(kind, Placeholder):
            raise _unneeded(instruction)
        self.push(kind())

    def make_set(self, instruction: str) -> None:
        if self.others is None:
            raise _unneeded(instruction)
        if instruction == "FROZENSET":
            self.pop_to_mark()
        self.push(Placeholder("set"))

    def add_items(self) -> None:
        self.pop_to_mark()
        if not isinstance(self.stack[-1], Placeholder):
            raise ValueError(f"the pickle adds to a {type(self.stack[-1]).__name__} as to a set")

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, Buildable):
            target.build(state)
        elif not isinstance(target, dict):  # a dictionary's attributes, as PyTorch's `_metadata`, are of no use here
            raise RefusedError(f"it gives attributes to a {type(target).__name__}")

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Placeholder):
            return
        if not isinstance(target, list):
            raise ValueError(f"the pickle appends to a {type(target).__name__}")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Placeholder):
            return
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError(f"the pickle sets {len(values)} keys and values of a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[checked_key(key) if self.others is None else plain_key(key)] = value

    def make_dict(self) -> None:
        values = self.pop_to_mark()
        self.push({})
        self.set_items(values)

    def recall(self, index: int) -> None:
        self.push(self.memo[index])

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def persistent_object(self) -> None:
        if self.persistent is None:
            raise RefusedError("it refers to objects outside of the pickle")
        self.push(self.persistent(self.pop()))


def checked_key(key: Any) -> Any:
    """`key`, if it is a number, text, bytes or None: the hash of a nested tuple may never end. Else ValueError."""
    if key is not None and not isinstance(key, (str, bytes, int, float)):
        raise ValueError(f"a key of a dictionary is a {type(key).__name__}")
    return key


def plain_key(key: Any) -> Any:
    """`key`, if checked_key accepts it; else an OtherKey."""
    try:
        return checked_key(key)
    except ValueError:
        return OtherKey(type(key).__name__)


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


# What each instruction does. Names are pickletools'. Left out: two that make objects in an old way (INST, OBJ),
# registered extensions, buffers outside of the file, and what no known writer of arrays uses.
_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    **dict.fromkeys(
        ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _Machine.push
    ),
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _Machine.push),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"), _Machine.push),
    **dict.fromkeys(("STRING", "SHORT_BINSTRING", "BINSTRING"), _Machine.text_of_python_2),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.pop_to_mark(),
    "EMPTY_TUPLE": _constant(()),
    "TUPLE1": lambda machine, _: machine.pop_tuple(1),
    "TUPLE2": lambda machine, _: machine.pop_tuple(2),
    "TUPLE3": lambda machine, _: machine.pop_tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": lambda machine, _: machine.make_dict(),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.remember),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    "GLOBAL": lambda machine, argument: machine.name(*argument.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name_from_stack(),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.new_object("NEWOBJ", 2),
    "NEWOBJ_EX": lambda machine, _: machine.new_object("NEWOBJ_EX", 3),
    "EMPTY_SET": lambda machine, _: machine.make_set("EMPTY_SET"),
    "FROZENSET": lambda machine, _: machine.make_set("FROZENSET"),
    "ADDITEMS": lambda machine, _: machine.add_items(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.persistent_object(),
}
