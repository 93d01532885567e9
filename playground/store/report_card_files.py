"""Names of a report card's files, which lie beside the adapter they are about."""

from pathlib import Path
from typing import Literal

ReportCardFormat = Literal["json", "md", "html"]
REPORT_CARD_FILES: dict[ReportCardFormat, str] = {
    "json": "report-card.json",
    "md": "report-card.md",
    "html": "report-card.html",
}


def report_cards_in(adapter: Path) -> dict[ReportCardFormat, Path]:
    """Return the report card's files in an adapter's folder, by format; empty until it is made."""
    paths = {ending: adapter / name for ending, name in REPORT_CARD_FILES.items()}
    return {ending: path for ending, path in paths.items() if path.is_file()}
