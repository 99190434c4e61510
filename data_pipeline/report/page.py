"""The report as one page that needs nothing else: no network, no script, plots inside. Everything of the corpus is escaped."""

from itertools import chain
from typing import Any

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.packages import needed
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import write_atomically, write_json
from data_pipeline.report.facts import report_facts

PAGE, FACTS = "report.html", "report.json"


def missing_package() -> str:
    """What to install before a page can be written, as a sentence; empty where nothing is missing.

    Both packages come with [data]; a training host has none of it and prints the text alone.
    """
    try:
        for module in ("matplotlib", "jinja2"):
            needed(module, "the report's page")
    except InputError as error:
        return str(error)
    return ""


def write_report(folder: RunFolder) -> None:
    """Writes `report.html` and, with the same facts, `report.json` into a prepared run folder.

    Raises InputError where prepare has not finished there.
    """
    facts = report_facts(folder)
    write_json(folder.path / FACTS, facts)
    write_atomically(folder.path / PAGE, page(facts).encode(errors="replace"))


def page(facts: dict[str, Any]) -> str:
    """The HTML of a report's facts."""
    import jinja2  # here and below, because the text report needs neither

    from data_pipeline.report.plots import plots

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("data_pipeline", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["megabytes"] = lambda value: f"{value / 1e6:,.2f}" if value >= 10_000 else f"{value / 1e6:.4f}"
    environment.filters["percent"] = lambda value: f"{value:.2%}"
    kinds = sorted(set(chain.from_iterable(facts["personal_data"].values())))
    template = environment.get_template("page.html.j2")
    return template.render(**facts, plots=plots(facts), personal_data_kinds=kinds)
