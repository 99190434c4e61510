import os

import pytest

from data_pipeline.contract.errors import InputError, UnfinishedError, WorkError, run_command


@pytest.mark.parametrize(("error", "code"), [(InputError, 2), (WorkError, 1), (UnfinishedError, os.EX_TEMPFAIL)])
def test_the_exit_code_says_what_kind_of_end_it_is(
    error: type[Exception], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error("a sentence")

    with pytest.raises(SystemExit) as ended:
        run_command(fail)
    assert ended.value.code == code
    assert capsys.readouterr().err == "error: a sentence\n"
