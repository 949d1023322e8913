"""matmul and einsum: every combination of axes against PyTorch; sizes that don't fit are named."""

import itertools

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, gradcheck

LEADING = [(), (2,), (1,), (3, 2), (3, 1)]
MATMUL = [((4,), (4,)), ((4,), (4, 5)), ((3, 4), (4,))] + [
    ((*a, 3, 4), (*b, 4, 5)) for a, b in itertools.product(LEADING, LEADING)
]
MATMUL += [((4,), (2, 4, 5)), ((2, 3, 4), (4,)), ((0, 4), (4, 5)), ((3, 0), (0, 5)), ((2, 0, 4), (4, 5))]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize(("a", "b"), MATMUL, ids=str)
def test_matmul_agrees_with_torch(a, b, same_as_torch, torch):
    generator = np.random.default_rng(0)
    same_as_torch(F.matmul, torch.matmul, generator.standard_normal(a), generator.standard_normal(b))


@pytest.mark.parametrize(("a", "b"), [MATMUL[0], MATMUL[1], MATMUL[2], MATMUL[3], ((3, 1, 2, 4), (2, 4, 5))], ids=str)
def test_matmul_gradient_is_the_slope(a, b):
    generator = np.random.default_rng(1)
    x, y = (Tensor(generator.standard_normal(shape[::-1]).T, requires_grad=True) for shape in (a, b))
    assert gradcheck(F.matmul, [x, y])


def test_the_operator_is_matmul_and_a_matrix_times_itself_adds_both_gradients(torch):
    values = np.random.default_rng(2).standard_normal((3, 3))
    x, y = Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    (x @ x).sum().backward()
    (y @ y).sum().backward()
    np.testing.assert_allclose(x.grad.data, y.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((2, 3), (4, 5), r"\(2, 3\) @ \(4, 5\): the last size of the first, 3, must equal the second-last .* 4"),
        ((3,), (4,), "must equal the only size of the second, 4"),
        ((), (4,), r"at least one axis on each side, but the shapes are \(\) and \(4,\)"),
        ((2, 3, 4), (3, 4, 5), "broadcast|mismatch"),
    ],
)
def test_matmul_sizes_that_do_not_fit_are_named(a, b, message):
    with pytest.raises(ValueError, match=message):
        F.matmul(Tensor(np.ones(a)), Tensor(np.ones(b)))


EINSUM = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ij->j", [(2, 3)]),
    ("ba", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("iij->j", [(3, 3, 2)]),
    ("i,j->ij", [(2,), (3,)]),
    ("nchw,kc->nkhw", [(2, 3, 4, 5), (6, 3)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("...i,i->...", [(2, 3, 4), (4,)]),
    ("i...->...", [(2, 3, 4)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ij,ij,j->i", [(2, 3), (2, 3), (3,)]),
    ("ijk,ilm,njm,nlk->i", [(2, 3, 4), (2, 5, 3), (6, 3, 3), (6, 5, 4)]),
    (" ij , jk -> ik ", [(2, 3), (3, 4)]),
    ("ij,jk->ik", [(0, 3), (3, 4)]),
    ("ij,kl->", [(2, 3), (4, 5)]),
    ("ij,jk->ik", [(2, 1), (3, 4)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EINSUM, ids=str)
def test_einsum_agrees_with_torch(equation, shapes, same_as_torch, torch):
    generator = np.random.default_rng(3)
    arrays = [generator.standard_normal(shape) for shape in shapes]
    same_as_torch(lambda *t: F.einsum(equation, *t), lambda *t: torch.einsum(equation, *t), *arrays)


@pytest.mark.parametrize(("equation", "shapes"), EINSUM[:17], ids=str)
def test_einsum_gradient_is_the_slope(equation, shapes):
    generator = np.random.default_rng(4)
    tensors = [Tensor(generator.standard_normal(shape[::-1]).T, requires_grad=True) for shape in shapes]
    assert gradcheck(lambda *t: F.einsum(equation, *t), tensors, directions=2)


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3)], "names 2 operands, but 1 were given"),
        ("ij->i", [(2, 3, 4)], r"'ij' does not fit an operand of shape \(2, 3, 4\)"),
        ("ij,jk->ik", [(2, 3), (4, 5)], r"does not fit operands of shape \(2, 3\), \(4, 5\)"),
        ("ij->ik", [(2, 3)], r"does not fit|not"),
    ],
)
def test_einsum_equations_that_do_not_fit_are_named(equation, shapes, message):
    with pytest.raises(ValueError, match=message):
        F.einsum(equation, *(Tensor(np.ones(shape)) for shape in shapes))
