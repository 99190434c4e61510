"""Where the bins of the histograms of text lie: for those who count, and for the report."""

LENGTH_EDGES = tuple(sorted({round(10 ** (eighth / 8)) for eighth in range(6 * 8 + 1)}))
"""Characters where a bin begins: eight bins to the power of ten from 1 to a million; the last has no end."""
SHARE_BINS = 20
"""Of the Hangul share, 0.05 wide; the last holds 1, too."""
