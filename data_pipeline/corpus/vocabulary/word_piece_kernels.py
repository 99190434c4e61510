"""The compiled loops of WordPiece: the pieces as a trie, and the longest piece at each place."""

import numpy as np
from numba import njit

from data_pipeline.corpus.compiled import compiled

BLANK, UNKNOWN, ODD = 0, -1, -2
"""What a character can be beside a letter (its normalised code point) and a word of its own (ISOLATED + that)."""
ISOLATED = 0x200000
CODE_POINTS = 0x110000
WORD, INSIDE = 0, 1
"""The two roots of the trie: pieces that start a word, and pieces that stand after ##."""
NO_NODE = -1


@njit
def _slot(keys, node, character):  # type: ignore[no-untyped-def]
    """Where the edge from a node by a character lies in the table, or the empty place where it would."""
    key = node << 21 | character
    mask = len(keys) - 1
    slot = (key * 0x9E3779B97F4A7C1 >> 20) & mask
    while keys[slot] != -1 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@compiled
def build_trie(code_points, ends, roots, ids):  # type: ignore[no-untyped-def]
    """Pieces as a trie whose edges lie in one hash table.

    - `code_points`: int64, all pieces one behind the other, without ##.
    - `ends`: int64 [pieces], where each ends in it.
    - `roots`: int64 [pieces], WORD or INSIDE.
    - `ids`: int64 [pieces].

    Returns `keys` int64 (edges: node and character), `nodes` int32 (where the edge leads), `pieces` int32 [nodes] (the id of
    the piece that ends there, -1 for none).
    """
    size = 1024
    while size < 4 * len(code_points):
        size *= 2
    keys, nodes = np.full(size, -1, np.int64), np.zeros(size, np.int32)
    pieces = np.full(len(code_points) + 2, -1, np.int32)
    used, start = 2, 0
    for piece in range(len(ends)):
        node = roots[piece]
        for place in range(start, ends[piece]):
            slot = _slot(keys, node, code_points[place])
            if keys[slot] == -1:
                keys[slot] = node << 21 | code_points[place]
                nodes[slot] = used
                used += 1
            node = np.int64(nodes[slot])
        pieces[node] = ids[piece]
        start = ends[piece]
    return keys, nodes, pieces[:used]


@compiled
def longest_pieces(code_points, text_ends, kinds, keys, nodes, pieces, unknown, longest_word):  # type: ignore[no-untyped-def]
    """WordPiece over BERT's words: the longest piece first, and the unknown token for a word that pieces do not fill.

    - `code_points`: uint32, all texts one behind the other.
    - `text_ends`: int64 [texts], where each text ends in it.
    - `kinds`: int32 [CODE_POINTS], what each character is.
    - `keys`, `nodes`, `pieces`: of `build_trie`.
    - `unknown`: id of the unknown token; `longest_word`: characters of a word above which it is unknown.

    Returns `ids` int64 and `ends` int64 (where each token ends in its text) of all texts; `token_ends` int64 [texts], where
    the tokens of each text end in them; `odd` bool [texts]: the text has a character that is ODD, and so no tokens.
    """
    ids, ends = np.empty(len(code_points), np.int64), np.empty(len(code_points), np.int64)
    token_ends, odd = np.empty(len(text_ends), np.int64), np.zeros(len(text_ends), np.bool_)
    count, start = 0, np.int64(0)
    for text in range(len(text_ends)):
        end, before, place = text_ends[text], count, start
        while place < end:
            kind = kinds[code_points[place]]
            if kind == BLANK:
                place += 1
                continue
            if kind < 0:
                odd[text] = True
                count = before
                break
            word_end = place + 1
            if kind < ISOLATED:
                while word_end < end and 0 < kinds[code_points[word_end]] < ISOLATED:
                    word_end += 1
                if word_end < end and kinds[code_points[word_end]] < 0:
                    place = word_end  # the word may go on behind the odd character
                    continue
            count = _word(
                code_points, place, word_end, start, kinds, keys, nodes, pieces, unknown, longest_word, ids, ends, count
            )
            place = word_end
        token_ends[text] = count
        start = end
    return ids[:count], ends[:count], token_ends, odd


@njit
def _word(code_points, place, word_end, start, kinds, keys, nodes, pieces, unknown, longest_word, ids, ends, count):  # type: ignore[no-untyped-def]
    """Appends the pieces of a word; returns how many tokens there are now."""
    before, root = count, WORD
    too_long = word_end - place > longest_word
    while place < word_end:
        node, found, found_end = np.int64(root), -1, place
        for at in range(place, word_end if not too_long else place):
            kind = kinds[code_points[at]]
            slot = _slot(keys, node, np.int64(kind if kind < ISOLATED else kind - ISOLATED))
            if keys[slot] == -1:
                break
            node = np.int64(nodes[slot])
            if pieces[node] != NO_NODE:
                found, found_end = pieces[node], at + 1
        if found == -1:
            ids[before], ends[before] = unknown, word_end - start
            return before + 1
        ids[count], ends[count] = found, found_end - start
        count += 1
        place, root = found_end, INSIDE
    return count
