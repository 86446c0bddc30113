"""The program, as `conformance` or `python -m conformance`."""

import gc

gc.set_threshold(50_000)  # what a start imports is no garbage; looking for it a hundred times would take 50 ms

from conformance.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
