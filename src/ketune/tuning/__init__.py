"""Learning rates found on validation records, with the same number of trials for every method. No torch here."""

from ketune.tuning.choice import shown
from ketune.tuning.search import result, search
from ketune.tuning.setting import described, of_a_trial

__all__ = ["described", "of_a_trial", "result", "search", "shown"]
