import os
import pty
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, time
from pretrain.monitoring.progress import StepBar

logging.basicConfig(level=logging.INFO, format="%(message)s")
with StepBar(10, 20) as bar:
    for step in range(11, 21):
        bar.done(step)
        if step % 5 == 0:
            logging.info("step %d: a line", step)
        time.sleep(0.05)
logging.info("the end")
"""


def test_on_a_terminal_a_bar_moves_below_whole_lines_and_goes_at_the_end() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "20"}
    root = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=theirs, stdout=theirs, env=environment, cwd=root)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the terminal's other side is closed
            break
    os.close(ours)
    assert process.wait() == 0
    text = shown.decode()
    assert "10/20" in text
    assert "20/20" in text
    for line in ("step 15: a line\r\n", "step 20: a line\r\n"):
        assert line in text
    assert text.endswith("the end\r\n")
    assert "/20" not in text.rpartition("\x1b[2K")[2], "the bar stands there still"


def test_elsewhere_there_is_no_bar() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=root, check=True)
    assert done.stderr == "step 15: a line\nstep 20: a line\nthe end\n"
    assert done.stdout == ""
