"""Are the values in `params.yaml` allowed? `python -m ketune.check` names the first that is not, in one sentence.

DVC reads the same file before any stage can; what it says of a text where a list is expected names no key.
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

from ketune import methods
from ketune.ground import params


def check() -> None:
    """Read params.yaml and build every listed method from its section."""
    settings = params.load()
    for name, section in settings.sections.items():
        methods.adapter(name, section)
        methods.rates(name, section)
    print(f"params.yaml: every value is allowed; {len(settings.runs)} runs of {len(settings.methods)} methods")


if __name__ == "__main__":
    process.run(check)
