"""The page in a browser: what it asks for, what it says, and that it can be used."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_store import make_run, report_store

from featstore.analysis import all_pairs, compare
from featstore.html_report import report
from featstore.html_report.numbers import hundredths
from featstore.numerals import p_value, points, points_span
from featstore.store import FeatureStore

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

BEST, OTHER = "upper + lower · logistic", "lower · knn"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return report_store(tmp_path_factory.mktemp("s"))


@pytest.fixture(scope="module")
def path(store: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(store, tmp_path_factory.mktemp("p") / "page.html", show_map=["lower"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visit:
    """A page that is open, and everything it said and asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(5000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def spoken(self) -> str:
        return str(self.page.locator("#s1-explorer .spoken").text_content())

    def table(self, part: str) -> list[list[str]]:
        """Cells of a table of changed classes."""
        rows = self.page.locator(f'#s1-explorer [data-part="{part}"] tbody tr')
        return [row.locator("th, td").all_text_contents() for row in rows.all()]


@pytest.fixture(scope="module")
def visit(browser: Any, path: Path) -> Iterator[Visit]:
    """One visit on a screen, without a change of its own; tests choose what they need anew."""
    visit = Visit(browser, path, viewport={"width": 1280, "height": 900})
    yield visit
    visit.context.close()


def runs_by_label(store: FeatureStore) -> dict[str, Any]:
    found = {}
    for name in store.runs:
        run = store.run(name)
        if not run.predictions.multilabel:
            found[f"{' + '.join(run.config.features)} · {run.config.probe}"] = run
    return found


def expected_rows(frame: Any) -> list[list[str]]:
    return [
        [
            row["class"],
            f"{row['n']:,}",
            hundredths(row["accuracy_a"]),
            hundredths(row["accuracy_b"]),
            points(row["gain"]),
            p_value(row["p"]),
            p_value(row["q"]),
        ]
        for _, row in frame.iterrows()
    ]


def same(found: list[list[str]], expected: list[list[str]]) -> None:
    """Compare texts; a number halfway between two may be rounded either way."""
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert row[:2] == wanted[:2]
        for text, other in zip(row[2:], wanted[2:], strict=True):
            if text != other:
                digits = len(other.partition(".")[2])
                numbers = [float(one.replace("\N{MINUS SIGN}", "-")) for one in (text, other)]
                assert abs(numbers[0] - numbers[1]) < 1.001 * 10**-digits, (text, other)


def choose(visit: Visit, before: str, after: str) -> None:
    selects = visit.page.locator("#s1-explorer select")
    selects.nth(0).select_option(label=before)
    selects.nth(1).select_option(label=after)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_asks_for_nothing_and_says_nothing(
    browser: Any, path: Path, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 800}
    visit = Visit(browser, path, viewport=size, color_scheme=scheme, has_touch=width < 500)
    assert visit.asked == [path.as_uri()]
    assert visit.said == []
    assert visit.page.locator(".chart svg").count() >= 2
    # Wide tables scroll in boxes of their own, the page does not.
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    ink, ground = visit.page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    bright = [
        np.mean([int(part) for part in re.findall(r"\d+", text)[:3]]) for text in (ink, ground)
    ]
    assert (bright[0] > bright[1]) == (scheme == "dark")
    visit.context.close()


def test_nothing_can_be_fetched_even_if_a_script_tried(visit: Visit) -> None:
    refused = "fetch('http://127.0.0.1:9/').then(() => 'came', error => String(error))"
    assert "Failed to fetch" in visit.page.evaluate(refused)
    assert any("Content Security Policy" in line for line in visit.said)


def test_any_two_runs_have_the_gains_that_compare_finds(visit: Visit, store: FeatureStore) -> None:
    runs = runs_by_label(store)
    labels = list(runs)
    for before, after in [(OTHER, BEST), (BEST, OTHER), (labels[0], labels[-1])]:
        choose(visit, before, after)
        found = compare(runs[before].predictions, runs[after].predictions, n_boot=0)
        improved, harmed = found.most_improved(10), found.most_harmed(10)
        same(visit.table("improved"), expected_rows(improved[improved["gain"] > 0]))
        same(visit.table("harmed"), expected_rows(harmed[harmed["gain"] < 0]))


def test_two_runs_are_told_apart_as_all_pairs_does(visit: Visit, store: FeatureStore) -> None:
    runs = runs_by_label(store)
    pairs = all_pairs({label: run.predictions for label, run in runs.items()}).pairs
    for row in [pairs.iloc[0], pairs.iloc[-1]]:
        choose(visit, row["b"], row["a"])
        text = visit.page.locator('#s1-explorer [data-part="sentence"]').text_content()
        assert f"From {row['b']} to {row['a']}: " in text
        assert (
            f"{points(row['difference'])} points ({points_span(row['low'], row['high'])})" in text
        )
        assert ("are different" if row["different"] else "cannot be told apart") in text
        n = f"{int(row['only_a_right'])}\N{NO-BREAK SPACE}row"
        assert f"{n}s only the latter" in text or f"{n} only the latter" in text


def test_arrow_keys_name_the_classes_in_the_order_of_their_gain(
    visit: Visit, store: FeatureStore
) -> None:
    choose(visit, OTHER, BEST)
    runs = runs_by_label(store)
    classes = compare(runs[OTHER].predictions, runs[BEST].predictions, n_boot=0).classes
    classes = classes.sort_values("gain", ascending=False, kind="stable")
    chart = visit.page.locator("#s1-explorer .chart")
    chart.press("Home")
    for _, row in classes.iterrows():
        visit.page.wait_for_function(
            "name => document.querySelector('#s1-explorer .spoken').textContent.startsWith(name)",
            arg=row["class"],
        )
        said = visit.spoken()
        assert f"{row['n']}\N{NO-BREAK SPACE}rows" in said
        assert f"{hundredths(row['accuracy_a'])} → {hundredths(row['accuracy_b'])} %" in said
        tip = visit.page.locator('#s1-explorer .chart [aria-label="tip"]').text_content()
        assert row["class"] in tip
        chart.press("ArrowDown")


def test_pointing_and_finding_show_the_class(visit: Visit) -> None:
    choose(visit, OTHER, BEST)
    chart = visit.page.locator("#s1-explorer .chart")
    box = chart.bounding_box()
    chart.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
    visit.page.wait_for_function("document.querySelector('#s1-explorer .spoken').textContent")
    pointed = visit.spoken()
    visit.page.mouse.move(0, 0)
    find = visit.page.locator('#s1-explorer input[type="search"]')
    name = next(word for word in ("gnu", "hen") if word not in pointed)
    find.fill(name)
    visit.page.wait_for_function(
        "name => document.querySelector('#s1-explorer .spoken').textContent.startsWith(name)",
        arg=name,
    )
    find.fill("no such class")
    assert find.get_attribute("aria-invalid") == "true"
    find.fill("")


def test_a_finger_shows_the_class(browser: Any, path: Path) -> None:
    size = {"width": 390, "height": 800}
    visit = Visit(browser, path, viewport=size, has_touch=True, is_mobile=True)
    visit.page.locator("#s1-explorer .chart").tap()
    visit.page.wait_for_function("document.querySelector('#s1-explorer .spoken').textContent")
    visit.context.close()


def test_multilabel_runs_compare_too(browser: Any, store: FeatureStore, tmp_path: Path) -> None:
    both = store.run("logistic-upper+lower-tags")
    single = make_run(store, ("upper",), "tags")
    store.save_run(single)
    try:
        page = report(store, tmp_path / "p.html", runs=[both.name, single.name])
    finally:
        store.delete_run(single.name)
    visit = Visit(browser, page)
    assert visit.said == []
    found = compare(single.predictions, both.predictions, n_boot=0).most_improved()
    expected = [
        [
            row["class"],
            f"{row['n']:,}",
            hundredths(row["average_precision_a"]),
            hundredths(row["average_precision_b"]),
            points(row["gain"]),
        ]
        for _, row in found[found["gain"] > 0].iterrows()
    ]
    same(visit.table("improved"), expected)
    visit.context.close()


def test_headers_sort(visit: Visit) -> None:
    table = visit.page.locator("#s1-classes-table")
    header = table.locator("th", has_text="accuracy")
    for direction in ("ascending", "descending"):
        header.press("Enter")
        assert header.get_attribute("aria-sort") == direction
        cells = [float(text) for text in table.locator("tbody td:nth-child(3)").all_text_contents()]
        assert cells == sorted(cells, reverse=direction == "descending")


def test_the_map_shows_a_row_and_finds_a_class(visit: Visit, store: FeatureStore) -> None:
    box = visit.page.locator(".map").first
    n = len(store.rows("test"))
    assert box.locator('.chart [aria-label="dot"]').first.locator("circle").count() == n
    box.locator(".chart").press("Home")
    spoken = box.locator(".spoken")
    visit.page.wait_for_function("document.querySelector('.map .spoken').textContent")
    assert "digit & <" in str(spoken.text_content())
    box.locator("input").fill("gnu")
    strong = box.locator('.chart [aria-label="dot"] circle[fill-opacity="0.7"]').count()
    truth = store.samples.targets["digit"]
    codes = truth.codes[store.rows("test")]
    assert strong == int((codes == truth.classes.index("gnu")).sum())


def test_without_scripts_everything_is_there_but_the_controls(browser: Any, path: Path) -> None:
    visit = Visit(browser, path, java_script_enabled=False)
    assert visit.page.locator("#s1-explorer .chart svg").is_visible()
    assert not visit.page.locator("#s1-explorer select").first.is_visible()
    assert visit.page.locator('#s1-explorer [data-part="improved"] tbody tr').count() > 0
    visit.context.close()


def test_prints(browser: Any, path: Path) -> None:
    visit = Visit(browser, path, color_scheme="dark")
    assert visit.page.pdf().startswith(b"%PDF")
    visit.page.emulate_media(media="print")
    assert not visit.page.locator("#s1-explorer select").first.is_visible()
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    visit.context.close()
