from pathlib import Path

import numpy as np
import pytest
from tiny_run import SPECIALS, write_records

from data_pipeline.contract.records import Layout, Records
from pretrain.evaluate.probes.pseudo_perplexity import one_masked


@pytest.mark.parametrize("layout", ["packed", "sentence_pairs"])
def test_each_copy_masks_one_token_a_segment_and_segments_count_by_their_tokens(layout: Layout, tmp_path: Path) -> None:
    header = write_records(tmp_path / "examples", layout=layout)
    records = Records(tmp_path / "examples", "evaluation").read(np.arange(11))
    found, whole = one_masked(records, header, 4), records["tokens"].astype(np.int32)
    assert found["tokens"].shape == (44, header.length)
    for copy in range(44):
        original, tokens, segments = whole[copy // 4], found["tokens"][copy], found["segments"][copy]
        used = found["weights"][copy] > 0
        places, labels = found["masked"][copy][used], found["labels"][copy][used]
        np.testing.assert_array_equal(np.sort(places), np.flatnonzero(tokens != original))
        assert (tokens[places] == SPECIALS["mask_id"]).all()
        np.testing.assert_array_equal(labels, original[places])
        assert (labels >= len(SPECIALS)).all(), "specials are not masked"
        assert len(set(segments[places])) == len(places)
    of_row = found["weights"].reshape(11, 4, -1).sum(axis=(1, 2))
    np.testing.assert_allclose(of_row, (whole >= len(SPECIALS)).sum(axis=1))
    drawn = {(copy // 4, place) for copy in range(44) for place in found["masked"][copy][found["weights"][copy] > 0]}
    assert len(drawn) == np.count_nonzero(found["weights"]), "no position twice"
    again = one_masked(records, header, 4)
    assert all((again[name] == found[name]).all() for name in found)


def test_with_as_many_draws_as_tokens_every_token_is_masked_once(tmp_path: Path) -> None:
    header = write_records(tmp_path / "examples")
    records = Records(tmp_path / "examples", "evaluation").read(np.arange(3))
    found = one_masked(records, header, header.length)
    assert set(found["weights"].ravel()) == {0.0, 1.0}
    assert found["weights"].sum() == (records["tokens"] >= len(SPECIALS)).sum()
