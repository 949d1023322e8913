"""The English of docs/style.md: the words that it lists stay out of docstrings, comments and messages."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import minicnn

PACKAGE = Path(minicnn.__file__).parent

# A pattern, and what to write instead. Comparisons such as "is no longer" and "has not been" are common and stay.
INSTEAD = {
    r"\b(?:is|are|was|were) no (?!(?:longer|more|less|smaller|larger|greater|fewer)\b)[a-z]+": "is not a, has no",
    r"\b(?:has|have|had) not\b(?! been\b)": "does not have, did not",
    r"\bone that\b": "the noun itself",
    r"\b(?:all but|but for|save for)\b": "except",
    r"\bnone of (?:these|them|those) but\b": "only",
    r"\b(?:behind|anew|lest|nobody|for ever|thousand million)\b": "after, again, so that ... not, no one, billion",
    r"\bn[oa]ught\b": "zero, nothing",
    r"\bstranger": "another program's, an unknown",
    r"\b(?:thereof|therein|whereof|whence|thence|hitherto|likewise)\b": "two sentences",
    r"\b(?:mind what|if only just|as such|so to speak|of (?:its|their) own accord)\b": "the plain statement",
}
BANNED = re.compile("|".join(INSTEAD), re.IGNORECASE)
EXAMPLES = (
    "what is no Module", "a mode that conv2d has not", "the one that wins", "all but one", "right but for rounding",
    "none of them but this", "behind it", "begins anew", "lest a peak", "nobody", "for ever", "naught", "a stranger's",
    "likewise", "as such", "save for rounding",
)  # fmt: skip
FINE = ("is no longer", "was no larger than", "has not been seen", "one of those that", "all for one", "not a Module")

# Files that were written before this rule and still break it. Nothing is added; a file that is mended is taken out.
NOT_YET = [
    "bench/libraries/with_minicnn.py",
    "bench/worker.py",
    "cli/bench.py",
    "cli/convert.py",
    "cli/evaluate.py",
    "cli/export.py",
    "cli/info.py",
    "cli/inspect.py",
    "cli/parser.py",
    "cli/predict.py",
    "cli/stored_model.py",
    "cli/summary.py",
    "cli/train.py",
    "data/catalogue.py",
    "data/dataset.py",
    "data/download.py",
    "data/folder.py",
    "data/idx.py",
    "data/loader.py",
    "data/partworld/drawing.py",
    "data/partworld/parameters.py",
    "data/partworld/scenes.py",
    "data/sampling.py",
    "data/transforms/base.py",
    "export/graph.py",
    "export/onnx_file.py",
    "export/onnx_layers.py",
    "features/activations.py",
    "features/ladder.py",
    "features/receptive_field.py",
    "features/separation.py",
    "figures/__init__.py",
    "figures/blocks.py",
    "figures/graph.py",
    "figures/window.py",
    "files/atomic.py",
    "files/json_text.py",
    "files/plain_text.py",
    "files/safe_pickle.py",
    "files/zip_archive.py",
    "functional/arithmetic.py",
    "functional/loss.py",
    "functional/padding.py",
    "functional/resize.py",
    "kernels/compiling/compile.py",
    "kernels/matrix.py",
    "kernels/memory.py",
    "kernels/normalization.py",
    "kernels/pointwise/optimizer_steps.py",
    "kernels/pooling/maximum.py",
    "random.py",
    "tensor.py",
    "trace.py",
    "training/batch_norm.py",
    "training/checkpoint.py",
    "training/early_stopping.py",
    "training/fit.py",
    "training/history.py",
    "training/learning_rate_finder.py",
    "training/loss_surface.py",
    "transfer/recipes.py",
    "weights/__init__.py",
    "weights/files.py",
    "weights/information.py",
    "weights/loading.py",
    "weights/npz_format.py",
    "weights/pytorch_legacy.py",
    "weights/pytorch_names.py",
    "weights/pytorch_objects.py",
    "weights/pytorch_zip.py",
    "weights/safetensors_format.py",
    "weights/stored.py",
]


def texts(path):
    """(line, text) of every comment, docstring and other string of a Python file."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_patterns_find_what_they_are_for(text):
    assert BANNED.search(text)


@pytest.mark.parametrize("text", FINE)
def test_the_patterns_leave_plain_english_alone(text):
    assert not BANNED.search(text)


LESSONS = Path(__file__).parents[1] / "lessons"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
FILES |= {f"lessons/{path.relative_to(LESSONS).as_posix()}": path for path in sorted(LESSONS.rglob("*.py"))}


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_YET])
def test_a_file_uses_plain_words(name):
    path = FILES[name]
    found = [f"{path.name}:{line}: {match.group()!r}" for line, text in texts(path) for match in BANNED.finditer(text)]
    assert found == [], f"write instead: {sorted(set(INSTEAD.values()))}"
