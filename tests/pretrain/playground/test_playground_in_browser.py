"""The page in a real browser: Hangul typed through its composition, wide and narrow, by keyboard, and nothing from elsewhere."""

import json
import re
import shutil
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the playground's packages are not installed (pip install .[playground])")
pytest.importorskip("selenium", reason="selenium is not installed (pip install .[test])")
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium with its chromedriver on this machine"),
]
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDE, NARROW = (1280, 900), (390, 844)
LONG = f"{'가 각 ' * 40}{'힣' * 80} "
"""A text with many words, and one that is wider than a narrow screen."""
SECONDS = 120
"""A program is compiled on a busy machine."""


@pytest.fixture(scope="module")
def address(folders: dict[str, Path]) -> Iterator[str]:
    """Of a playground with all models, and BERT twice, by the public command."""
    places = [str(folder) for folder in (folders["vocabulary"], *folders.values())]
    command = [sys.executable, "-m", "pretrain", "playground", *places, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert process.stderr
    try:
        for line in process.stderr:
            if found := re.match(r"(http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)", line):
                yield found[1]
                break
        else:
            pytest.fail("the playground did not start")
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


class Page:
    """The playground in a browser, as a person uses it."""

    def __init__(self, driver: Any, address: str, size: tuple[int, int]) -> None:
        self.driver = driver
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == NARROW}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get("about:blank")
        driver.get(address)
        self.until(lambda: self.find("[role=tab]"))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", selector
        )
        return found

    def until(self, holds: Callable[[], Any]) -> Any:
        end = time.monotonic() + SECONDS
        while not (found := holds()):
            assert time.monotonic() < end, self.driver.page_source
            time.sleep(0.05)
        return found

    def answered(self) -> list[str]:
        """What the cards show, once all of them have answered."""
        states = "return [...document.querySelectorAll('article')].every((each) => !each.ariaBusy && each.querySelector('.state').textContent)"
        self.until(lambda: self.run(states))
        return self.texts("article .body, article .error")

    def choose(self, ability: str) -> None:
        self.find(f"#tab-{ability}")[0].click()

    def fill(self, text: str) -> None:
        self.run("document.getElementById('text').value = arguments[0]", text)

    def clear(self) -> None:
        self.find("#text")[0].send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE)

    def compose(self, text: str) -> None:
        """Types Hangul as an input method does: letters that grow to a syllable, which is then committed."""
        for syllable in text:
            letters = unicodedata.normalize("NFD", syllable)
            for count in range(1, len(letters) + 1):
                grown = unicodedata.normalize("NFC", letters[:count])
                composition = {"text": grown, "selectionStart": len(grown), "selectionEnd": len(grown)}
                self.driver.execute_cdp_cmd("Input.imeSetComposition", composition)
            self.driver.execute_cdp_cmd("Input.insertText", {"text": syllable})

    def asked(self) -> list[tuple[str, str]]:
        """URL and body of the requests since the last call."""
        logged = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = (each["params"]["request"] for each in logged if each["method"] == "Network.requestWillBeSent")
        return [(request["url"], request.get("postData", "")) for request in sent]


@pytest.fixture
def page(chromium: Any, address: str, size: tuple[int, int]) -> Iterator[Page]:
    found = Page(chromium, address, size)
    yield found
    severe = [
        entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE" and "400" not in entry["message"]
    ]
    assert severe == []


def test_cards_stand_side_by_side_or_one_below_the_other_and_nothing_is_wider_than_the_screen(
    page: Page, size: tuple[int, int], address: str
) -> None:
    names = [tab.get_attribute("data-ability") for tab in page.find("[role=tab]")]
    assert names == ["vocabulary", "replaced", "next_token", "target", "similar", "tokens"]
    for name in names:
        page.choose(name)
        page.fill(f"{LONG}[MASK]" if name == "vocabulary" else f"가\n{LONG}" if name == "similar" else LONG)
        page.find("#question .primary")[0].click()
        answers = page.answered()
        assert answers
        assert all(answers), name
        assert page.find("article .error") == [], answers
        assert page.run("return document.documentElement.scrollWidth") <= size[0], name
        boxes = [card.rect for card in page.find("article")]
        if len(boxes) > 1:
            (first, second), wide = boxes[:2], size == WIDE
            assert (first["y"] == second["y"]) == wide, name
            assert (first["x"] < second["x"]) == wide, name
    assert [url for url, _ in page.asked() if not url.startswith((address, "data:", "about:"))] == []


def test_hangul_is_composed_before_anything_is_asked(page: Page) -> None:
    page.choose("replaced")
    page.answered()
    page.clear()
    page.asked()
    page.find("#text")[0].click()
    half = {"text": "가", "selectionStart": 1, "selectionEnd": 1}
    page.driver.execute_cdp_cmd("Input.imeSetComposition", half)
    # What a browser sends for the Enter that ends a composition.
    page.run(
        "document.getElementById('text').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    time.sleep(1)
    assert [url for url, _ in page.asked() if "/models/" in url] == []
    page.compose("가")
    page.compose("갂 각")
    page.until(lambda: page.texts(".token small") and len(page.find(".token")) == 2)
    assert page.run("return document.getElementById('text').value") == "가갂 각"
    bodies = [json.loads(body)["text"] for url, body in page.asked() if "/models/" in url]
    assert bodies[-1] == "가갂 각"
    assert all(unicodedata.is_normalized("NFC", body) for body in bodies)


def test_what_is_typed_is_answered_by_enter_and_the_rest_by_the_keyboard(page: Page) -> None:
    page.choose("next_token")
    page.clear()
    page.find("#text")[0].send_keys("가 각", Keys.SHIFT, Keys.ENTER, Keys.NULL, "갂", Keys.ENTER)
    (answer,) = page.answered()
    assert page.run("return document.getElementById('text').value") == "가 각\n갂"
    assert answer.startswith("가 각\n갂")
    assert page.texts(".written")
    chosen = page.find("[role=tab][aria-selected=true]")[0]
    chosen.send_keys(Keys.ARROW_RIGHT)
    assert page.find("[role=tab][aria-selected=true]")[0].get_attribute("data-ability") == "target"
    assert page.run("return document.activeElement.id") == "tab-target"


def test_markup_is_shown_as_text(page: Page) -> None:
    markup = "<img src=x onerror=document.title='hit'><b>가</b>"
    page.choose("next_token")
    page.clear()
    page.find("#text")[0].send_keys(markup, Keys.ENTER)
    page.until(lambda: page.texts(".given") == [markup] * 3)
    page.choose("similar")
    page.clear()
    page.find("#text")[0].send_keys("가", Keys.ENTER, markup, Keys.CONTROL, Keys.ENTER)
    page.until(lambda: page.texts(".words") == [markup] * 5)
    page.choose("vocabulary")
    page.answered()
    page.clear()
    page.find("#text")[0].send_keys(markup)
    page.until(lambda: [markup in error for error in page.texts("article .error")] == [True, True])
    assert page.find("#answers img, #answers b") == []
    assert page.driver.title == "Playground"


def test_empty_and_long_texts_get_a_sentence(page: Page) -> None:
    page.choose("vocabulary")
    page.answered()
    page.clear()
    page.until(lambda: page.texts("#hint") == ["Type some text."])
    assert page.texts("article .body") == ["", ""]
    page.fill("가 [MASK] " * 300)
    page.find("#question .primary")[0].click()
    assert set(page.answered()) == {"", "the text has 602 tokens, the model reads 512; shorten it"}
    page.find("#text")[0].send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE, "가 ")
    page.find("#mask")[0].click()
    page.until(lambda: len(page.find("article li")) == 10)
    page.choose("similar")
    page.clear()
    page.find("#question .primary")[0].click()
    assert page.texts("#hint") == ["Type two sentences or more, one a line."]
