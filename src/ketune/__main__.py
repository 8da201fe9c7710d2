"""Run a program that knows peft and not ketune, with ketune's adapters registered: `python -m ketune MODULE …`."""

import runpy
import sys

import ketune  # noqa: F401  (peft then knows ketune's kinds of adapters)


def main() -> None:
    """Run the module named first with the arguments behind it."""
    if len(sys.argv) < 2:
        raise SystemExit("python -m ketune MODULE [ARGUMENT …]: name a module that has a command line.")
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
