"""The cutover: applications go over to the target in one short window, with proof, and with a way back."""

from workbook.cutover.course import Course, backward, forward
from workbook.cutover.result import CutoverResult
from workbook.cutover.run import Cutover, Movers, Streams, Tools
from workbook.cutover.state import FORWARD, HELD, NONE, REVERSE, State, refuse_after_cutover

__all__ = [
    "FORWARD",
    "HELD",
    "NONE",
    "REVERSE",
    "Course",
    "Cutover",
    "CutoverResult",
    "Movers",
    "State",
    "Streams",
    "Tools",
    "backward",
    "forward",
    "refuse_after_cutover",
]
