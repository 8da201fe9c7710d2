"""What the runs show: a page, figures and tables, and the metrics that DVC's own commands read.

reads:  data/costs, data/curves, data/predictions, data/prepared, data/scores, data/tuned,
        reports/hardware, reports/plan, reports/planted, reports/tuned
params: all
writes: reports/index.html, reports/figures, reports/tables, reports/metrics, reports/loss.csv, reports/scores.csv
"""

from ketune.ground import process  # isort: skip  (threads are set before numpy is loaded)

from ketune import report
from ketune.ground import layout, params


def write() -> None:
    """Read all listed runs and write everything under reports/."""
    found = report.write(params.load())
    print(f"{len(found.runs)} runs of {len(found.methods)} methods: open {layout.REPORTS / 'index.html'}")


if __name__ == "__main__":
    process.run(write)
