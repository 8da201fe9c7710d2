"""Learning rates found on validation records, with the same number of trials for every method. No torch here."""

from ketune.tuning.choice import Choice, choose
from ketune.tuning.record import Trial
from ketune.tuning.remarks import edges, remarks
from ketune.tuning.search import search

__all__ = ["Choice", "Trial", "choose", "edges", "remarks", "search"]
