"""The arithmetic of Winograd's convolution F(4, 3): four outputs of a kernel of three numbers with 6 products, not 12.

Where it comes from. Polynomials can be multiplied by value instead of by coefficient: take enough points, evaluate both
factors there, multiply value by value, and find the polynomial that passes through the products. A kernel g (3
coefficients) times a polynomial z (4 coefficients) has 6 coefficients, so 6 points do:

    coefficients of the product  =  B [ (G g) * (A z) ]          * is number by number, 6 products

where A and G evaluate at the points, and B interpolates. Our points are 0, +a, -a, +b, -b and "infinity", which stands
for the leading coefficient; a = 3/4 and b = 3/2.

The map from z to the product is the matrix [B diag(G g) A]. A convolutional layer computes that map's
*transpose*, a correlation: output k is the sum over j of d[k + j] g[j] for j = 0, 1, 2. Transposing the factors gives

    y = A^T [ (G g) * (B^T d) ]      d: 6 pixels in a row      g: 3 weights      y: 4 outputs

and in two dimensions, rows after columns, a tile of 6 x 6 pixels gives 4 x 4 outputs with 36 products, not 144:

    Y = A^T [ (G g G^T) * (B^T d B) ] A

         pixels 6 x 6                         products 6 x 6                outputs 4 x 4
        +-------------+    B^T d B           +-------------+    A^T M A      +---------+
        | . . . . . . |  --------------->    |             |  ------------>  | . . . . |
        | . +-------+ |                      |  M, a sum   |                 | . . . . |
        | . | next  | |       weights  --->  |  over the   |                 | . . . . |
        | . | tile  | |       G g G^T        |  channels   |                 | . . . . |
        | . | is 4  | |                      |             |                 +---------+
        +---| on    |-+                      +-------------+    4 x 4 tiles lie side by side,
            +-------+                                           their 6 x 6 pixels overlap by 2

The sum over input channels is taken between the transforms, as these are linear: for each of the 36 places that is a
matrix product over channels, where all the time goes. The gradient of the weights follows by transposing the other way:

    gradient of g = G^T [ (B^T d B) * (A dY A^T) ] G         dY: 4 x 4 numbers of the output's gradient

Why these points. Exact arithmetic would allow any; float32 loses digits in the additions, the more the wider the
numbers of the matrices spread. Over all pairs of eighths between 1/3 and 5/2, +-3/4 and +-3/2 are within a tenth of the
best, and have short matrices: a typical error is half of that of the usual 0, +-1, +-2 (Lavin & Gray) and three
quarters of that of 0, +-1, 1/2, -2 (Barabasz et al.). In pairs +p, -p half of the work is shared, too: 12 multiply-adds
where the matrix B^T has 24 numbers.

Sources: S. Winograd, "Arithmetic complexity of computations" (1980), chapter IV; A. Lavin and S. Gray, "Fast algorithms
for convolutional neural networks" (2015); B. Barabasz, A. Anderson, K. Soodhalter and D. Gregg, "Error analysis and
improving the accuracy of Winograd convolution for deep neural networks" (2018).
"""

from fractions import Fraction

from minicnn.kernels.compiling.compile import compile

OUTPUTS, PIXELS = 4, 6  # of a tile, along one side

POINTS = (Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2))  # and infinity

# Row i holds the powers of point i; the last row takes the leading coefficient.
A = (
    (1, 0, 0, 0),
    (1, Fraction(3, 4), Fraction(9, 16), Fraction(27, 64)),
    (1, Fraction(-3, 4), Fraction(9, 16), Fraction(-27, 64)),
    (1, Fraction(3, 2), Fraction(9, 4), Fraction(27, 8)),
    (1, Fraction(-3, 2), Fraction(9, 4), Fraction(-27, 8)),
    (0, 0, 0, 1),
)

# The same powers, divided by the product of the distances from point i to the other points: Lagrange's denominators.
G = (
    (Fraction(64, 81), 0, 0),
    (Fraction(-128, 243), Fraction(-32, 81), Fraction(-8, 27)),
    (Fraction(-128, 243), Fraction(32, 81), Fraction(-8, 27)),
    (Fraction(32, 243), Fraction(16, 81), Fraction(8, 27)),
    (Fraction(32, 243), Fraction(-16, 81), Fraction(8, 27)),
    (0, 0, 1),
)

# Row i holds Lagrange's numerator: the coefficients of the polynomial that is zero at all points but point i.
B_TRANSPOSED = (
    (Fraction(81, 64), 0, Fraction(-45, 16), 0, 1, 0),
    (0, Fraction(-27, 16), Fraction(-9, 4), Fraction(3, 4), 1, 0),
    (0, Fraction(27, 16), Fraction(-9, 4), Fraction(-3, 4), 1, 0),
    (0, Fraction(-27, 32), Fraction(-9, 16), Fraction(3, 2), 1, 0),
    (0, Fraction(27, 32), Fraction(-9, 16), Fraction(-3, 2), 1, 0),
    (0, Fraction(81, 64), 0, Fraction(-45, 16), 0, 1),
)

# The numbers that the functions below are made of. Those of A and B fit float32 exactly.
_A1, _A2, _A3 = 0.75, 0.5625, 0.421875  # a and its powers
_B1, _B2, _B3 = 1.5, 2.25, 3.375  # b and its powers
_SUM, _PRODUCT = _A2 + _B2, _A2 * _B2  # of the squares
_G0 = 64 / 81
_GA0, _GA1, _GA2 = -128 / 243, -32 / 81, -8 / 27
_GB0, _GB1, _GB2 = 32 / 243, 16 / 81, 8 / 27

# ---------------------------------------------------------------------------------------------------------------------
# Each function is one of the matrices times a vector, with the work of +p and -p shared. Its arguments are numbers, or
# vectors of numbers (arithmetic.py).


def transform_pixels(d0, d1, d2, d3, d4, d5):
    """B^T d, 6 -> 6."""
    even_a, odd_a = d4 - _B2 * d2, _A1 * (d3 - _B2 * d1)
    even_b, odd_b = d4 - _A2 * d2, _B1 * (d3 - _A2 * d1)
    first = _PRODUCT * d0 - _SUM * d2 + d4
    last = _PRODUCT * d1 - _SUM * d3 + d5
    return first, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, last


transform_pixels_compiled = compile(transform_pixels)


def transform_weights(g0, g1, g2):
    """G g, 3 -> 6."""
    even_a, odd_a = _GA0 * g0 + _GA2 * g2, _GA1 * g1
    even_b, odd_b = _GB0 * g0 + _GB2 * g2, _GB1 * g1
    return _G0 * g0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g2


transform_weights_compiled = compile(transform_weights)


def outputs_of_products(m0, m1, m2, m3, m4, m5):
    """A^T m, 6 -> 4."""
    even_a, odd_a = m1 + m2, m1 - m2
    even_b, odd_b = m3 + m4, m3 - m4
    return (
        m0 + even_a + even_b,
        _A1 * odd_a + _B1 * odd_b,
        _A2 * even_a + _B2 * even_b,
        _A3 * odd_a + _B3 * odd_b + m5,
    )


outputs_of_products_compiled = compile(outputs_of_products)


def transform_gradient(y0, y1, y2, y3):
    """A y, 4 -> 6: the transpose of `outputs_of_products`."""
    even_a, odd_a = y0 + _A2 * y2, _A1 * y1 + _A3 * y3
    even_b, odd_b = y0 + _B2 * y2, _B1 * y1 + _B3 * y3
    return y0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, y3


transform_gradient_compiled = compile(transform_gradient)


def weights_of_products(m0, m1, m2, m3, m4, m5):
    """G^T m, 6 -> 3: the transpose of `transform_weights`."""
    even_a, odd_a = m1 + m2, m1 - m2
    even_b, odd_b = m3 + m4, m3 - m4
    return (
        _G0 * m0 + _GA0 * even_a + _GB0 * even_b,
        _GA1 * odd_a + _GB1 * odd_b,
        _GA2 * even_a + _GB2 * even_b + m5,
    )


weights_of_products_compiled = compile(weights_of_products)
