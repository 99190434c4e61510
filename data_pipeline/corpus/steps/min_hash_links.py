"""Links between MinHash signatures that agree enough: all of them in a small group, enough to connect it in a large one."""

import numpy as np
from numpy.typing import NDArray

from data_pipeline.corpus.compiled import compiled

COMPARED_ALL = 2_000
"""Largest group in which every two signatures may be compared."""
NEIGHBOURS = 8
"""In a larger group, how many others with the same value in a column each signature is compared with."""


def linked(signature: NDArray[np.uint16], threshold: float) -> NDArray[np.int64]:
    """Pairs [n, 2] that connect what is connected where every two signatures that agree enough are linked.

    - `signature`: uint16 [documents, permutations] of documents that share a band.

    What is connected already is not compared again: a thousand copies cost a thousand comparisons, not half a million. In a
    group of more than `COMPARED_ALL`, pages of one template for instance, each signature is compared with up to `NEIGHBOURS`
    others in each column, with those behind it among the documents that have the same value there. Two documents that agree enough
    agree in columns that the template does not fill, where few others do; a pair is missed where others come between in every
    such column. Time grows with the documents, not with their square.
    """
    return _all_linked(signature, threshold) if len(signature) <= COMPARED_ALL else _many_linked(signature, threshold)


def _all_linked(signature: NDArray[np.uint16], threshold: float) -> NDArray[np.int64]:
    component = np.arange(len(signature))
    pairs = []
    for index in range(len(signature) - 1):
        others = index + 1 + np.flatnonzero(component[index + 1 :] != component[index])
        if not len(others):
            continue
        alike = others[(signature[others] == signature[index]).mean(axis=1) >= threshold]
        joined, first = np.unique(component[alike], return_index=True)
        pairs += [(index, int(other)) for other in alike[first]]
        component[np.isin(component, joined)] = component[index]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _many_linked(signature: NDArray[np.uint16], threshold: float) -> NDArray[np.int64]:
    number, columns = signature.shape
    least = next(agreeing for agreeing in range(columns + 1) if agreeing / columns >= threshold)
    # By content, so that the order of files does not decide who is compared.
    order = np.lexsort(signature.T)
    signature = np.ascontiguousarray(signature[order])
    parent = np.arange(number)
    pairs, found = np.empty((number, 2), np.int64), 0
    for column in range(columns):
        by_value = np.argsort(signature[:, column], kind="stable")
        found = _link_neighbours(signature, column, by_value, columns - least, NEIGHBOURS, parent, pairs, found)
    return order[pairs[:found]]


@compiled
def _link_neighbours(signature, column, by_value, most_differing, neighbours, parent, pairs, found):  # type: ignore[no-untyped-def]
    """Adds the pairs that join two trees of `parent` to `pairs`; returns how many there are."""
    for place in range(len(by_value)):
        left = by_value[place]
        for other in range(place + 1, min(place + 1 + neighbours, len(by_value))):
            right = by_value[other]
            if signature[left, column] != signature[right, column]:
                break
            one, two = left, right
            while parent[one] != one:
                parent[one] = parent[parent[one]]
                one = parent[one]
            while parent[two] != two:
                parent[two] = parent[parent[two]]
                two = parent[two]
            if one == two:
                continue
            differing = 0
            for each in range(signature.shape[1]):
                differing += signature[left, each] != signature[right, each]
                if differing > most_differing:
                    break
            if differing <= most_differing:
                parent[max(one, two)] = min(one, two)
                pairs[found, 0], pairs[found, 1] = left, right
                found += 1
    return found
