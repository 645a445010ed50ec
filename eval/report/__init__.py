"""One HTML page about a folder of scorecards: pictures, cuts, similarities and numbers, with nothing to be fetched."""

from eval.report.page import write_report

__all__ = ["write_report"]
