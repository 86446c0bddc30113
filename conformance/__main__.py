"""The program, as `conformance` or `python -m conformance`."""

import gc

gc.set_threshold(50_000)  # what is imported and planned is no garbage; looking for it again and again takes 80 ms

from conformance.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
