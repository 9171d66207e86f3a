"""The report: one page that shows a run, to be opened anywhere and sent to anybody."""

from azr.report.history import History, read_figures, read_history
from azr.report.page import page

__all__ = ["History", "page", "read_figures", "read_history"]
