"""Wires that are nearly right, for those who compare two readers of them."""

from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

__all__ = ["odd_wires", "one_byte_edits"]


def one_byte_edits(wire: bytes) -> Iterator[bytes]:
    """Yield every wire that differs in one byte: put in, put in place of another, or left out."""
    for at in range(len(wire)):
        yield wire[:at] + wire[at + 1 :]
        for byte in range(256):
            piece = bytes((byte,))
            yield wire[:at] + piece + wire[at:]
            yield wire[:at] + piece + wire[at + 1 :]


def odd_wires(wires: Sequence[bytes], pieces: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw wires with a few pieces put in, or put in place of what was there."""
    edits = st.tuples(st.floats(0, 1), st.sampled_from([0, 0, 1, 9]), st.sampled_from(pieces))

    def edited(wire: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
        for share, gone, piece in edits:
            at = int(share * len(wire))
            wire = wire[:at] + piece + wire[at + gone :]
        return wire

    return st.builds(edited, st.sampled_from(wires), st.lists(edits, max_size=4))
