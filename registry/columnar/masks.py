"""Boolean masks, one value per cell: a numpy array, or a plain `bool` where all cells agree.

Most keywords hold for a whole column at once; a constant costs nothing to combine, so that a clean
table never allocates a mask.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Mask = bool | Bools


def both(left: Mask, right: Mask) -> Mask:
    if isinstance(left, bool):
        return right if left else False
    if isinstance(right, bool):
        return left if right else False
    return left & right


def either(left: Mask, right: Mask) -> Mask:
    if isinstance(left, bool):
        return True if left else right
    if isinstance(right, bool):
        return True if right else left
    return left | right


def negate(mask: Mask) -> Mask:
    return not mask if isinstance(mask, bool) else ~mask


def every(masks: Iterable[Mask]) -> Mask:
    result: Mask = True
    for mask in masks:
        result = both(result, mask)
        if result is False:
            return False
    return result


def choose(where: Mask, then: Mask, otherwise: Mask) -> Mask:
    """`then` at the cells of `where`, `otherwise` elsewhere."""
    if isinstance(where, bool):
        return then if where else otherwise
    if isinstance(then, bool) and isinstance(otherwise, bool):
        if then == otherwise:
            return then
        return where if then else ~where
    return np.where(where, then, otherwise)


def settle(mask: Bools) -> Mask:
    """A constant where the mask is one, so that later combinations are free."""
    if mask.all():
        return True
    return mask if mask.any() else False


def spread(mask: Mask, size: int) -> Bools:
    """The mask as an array of its own."""
    return np.full(size, mask) if isinstance(mask, bool) else mask.copy()


def gather(mask: Mask, codes: npt.NDArray[np.integer]) -> Mask:
    """The verdict of each coded cell from the verdicts of the distinct values."""
    return mask if isinstance(mask, bool) else settle(mask[codes])


def settle_bits(bits: Any) -> Mask:
    """The mask of an Arrow boolean array; null counts as False."""
    if bits.null_count == 0 and bits.true_count == len(bits):
        return True
    if bits.true_count == 0:
        return False
    filled = bits.fill_null(False) if bits.null_count else bits
    mask: Bools = filled.to_numpy(zero_copy_only=False)
    return mask
