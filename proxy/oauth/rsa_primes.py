"""The primes of an RSA key that is given without them, as a JWK may be (RFC 7518 §6.3.2)."""

import math
from typing import Final

__all__ = ["primes_of"]

_MOST_TRIES: Final = 32
"""At least every second base finds them."""


def primes_of(n: int, e: int, d: int) -> tuple[int, int]:
    """Return them, the larger first; raise `ValueError` where the numbers are none of a key.

    This takes a second at most for a key of 4096 bits, and no other thread waits for it.
    `rsa_recover_prime_factors` of `cryptography` does the same (NIST SP 800-56B, appendix C), but
    raises to powers in single calls, and for the whole of one the event loop stands still.
    """
    multiple = e * d - 1
    halvings = (multiple & -multiple).bit_length() - 1
    if multiple <= 0 or halvings < 1:
        raise ValueError
    for base in range(2, 2 + _MOST_TRIES):
        root = _square_root_of_one(base, multiple >> halvings, halvings, n)
        if root not in (1, n - 1):
            p = math.gcd(root - 1, n)
            return max(p, n // p), min(p, n // p)
    raise ValueError


def _square_root_of_one(base: int, odd: int, halvings: int, n: int) -> int:
    """Return one of the powers of `base` whose square is 1; raise `ValueError` if none is."""
    root = _power(base, odd, n)
    if root == 1:
        return root
    for _ in range(halvings):
        square = root * root % n
        if square == 1:
            return root
        root = square
    raise ValueError


def _power(base: int, exponent: int, n: int) -> int:
    """Return what `pow` does, in short steps: between two of them another thread can run."""
    power = 1
    for bit in f"{exponent:b}":
        power = power * power % n
        if bit == "1":
            power = power * base % n
    return power
