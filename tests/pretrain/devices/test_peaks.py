"""The table of peaks answers for every device that it names."""

from pretrain.devices.peaks import PEAKS


def test_no_peak_hides_another() -> None:
    kinds = [kind for kind, _ in PEAKS]
    assert not [(one, kind) for number, kind in enumerate(kinds) for one in kinds[:number] if kind.startswith(one)]
