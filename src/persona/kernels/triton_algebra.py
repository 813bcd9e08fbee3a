"""Vectors, symmetric matrices and rotations of three dimensions, inside Triton's kernels.

A vector is a tuple of three, a symmetric matrix its upper triangle xx, xy, xz, yy, yz, zz.
"""

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check
def load3(pointer, i, inside):
    """Read row i of (n, 3)."""
    x = tl.load(pointer + 3 * i, mask=inside, other=0.0)
    y = tl.load(pointer + 3 * i + 1, mask=inside, other=0.0)
    z = tl.load(pointer + 3 * i + 2, mask=inside, other=0.0)
    return x, y, z


@triton.jit
@no_type_check
def store3(pointer, i, inside, x, y, z):
    """Write row i of (n, 3)."""
    tl.store(pointer + 3 * i, x, mask=inside)
    tl.store(pointer + 3 * i + 1, y, mask=inside)
    tl.store(pointer + 3 * i + 2, z, mask=inside)


@triton.jit
@no_type_check
def load6(pointer, i, inside):
    """Read row i of (n, 6)."""
    xx = tl.load(pointer + 6 * i, mask=inside, other=0.0)
    xy = tl.load(pointer + 6 * i + 1, mask=inside, other=0.0)
    xz = tl.load(pointer + 6 * i + 2, mask=inside, other=0.0)
    yy = tl.load(pointer + 6 * i + 3, mask=inside, other=0.0)
    yz = tl.load(pointer + 6 * i + 4, mask=inside, other=0.0)
    zz = tl.load(pointer + 6 * i + 5, mask=inside, other=0.0)
    return xx, xy, xz, yy, yz, zz


@triton.jit
@no_type_check
def store6(pointer, i, inside, xx, xy, xz, yy, yz, zz):
    """Write row i of (n, 6)."""
    tl.store(pointer + 6 * i, xx, mask=inside)
    tl.store(pointer + 6 * i + 1, xy, mask=inside)
    tl.store(pointer + 6 * i + 2, xz, mask=inside)
    tl.store(pointer + 6 * i + 3, yy, mask=inside)
    tl.store(pointer + 6 * i + 4, yz, mask=inside)
    tl.store(pointer + 6 * i + 5, zz, mask=inside)


@triton.jit
@no_type_check
def dot(a, b):
    """Multiply two vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@triton.jit
@no_type_check
def scaled(a, factor):
    """Lengthen a vector."""
    return a[0] * factor, a[1] * factor, a[2] * factor


@triton.jit
@no_type_check
def cross(a, b):
    """Give the vector that is normal to both."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@triton.jit
@no_type_check
def times(m, v):
    """Multiply a symmetric matrix and a vector."""
    return (
        m[0] * v[0] + m[1] * v[1] + m[2] * v[2],
        m[1] * v[0] + m[3] * v[1] + m[4] * v[2],
        m[2] * v[0] + m[4] * v[1] + m[5] * v[2],
    )


@triton.jit
@no_type_check
def sum_of_squares(a, b, c):
    """Give a a^T + b b^T + c c^T."""
    return (
        a[0] * a[0] + b[0] * b[0] + c[0] * c[0],
        a[0] * a[1] + b[0] * b[1] + c[0] * c[1],
        a[0] * a[2] + b[0] * b[2] + c[0] * c[2],
        a[1] * a[1] + b[1] * b[1] + c[1] * c[1],
        a[1] * a[2] + b[1] * b[2] + c[1] * c[2],
        a[2] * a[2] + b[2] * b[2] + c[2] * c[2],
    )


@triton.jit
@no_type_check
def load_quat(pointer, i, inside):
    """Read row i of (n, 4): w, x, y and z of unit length, and one over the length it had."""
    w = tl.load(pointer + 4 * i, mask=inside, other=1.0)
    x = tl.load(pointer + 4 * i + 1, mask=inside, other=0.0)
    y = tl.load(pointer + 4 * i + 2, mask=inside, other=0.0)
    z = tl.load(pointer + 4 * i + 3, mask=inside, other=0.0)
    shrink = 1.0 / tl.maximum(tl.sqrt(w * w + x * x + y * y + z * z), 1e-12)
    return w * shrink, x * shrink, y * shrink, z * shrink, shrink


@triton.jit
@no_type_check
def axis(w, x, y, z, COLUMN: tl.constexpr):
    """Give a column of the rotation matrix of a unit quaternion."""
    if COLUMN == 0:
        column = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)
    elif COLUMN == 1:
        column = 2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)
    else:
        column = 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
    return column
