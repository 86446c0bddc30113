"""The program, as `conformance` or `python -m conformance`."""

import gc
import os

gc.set_threshold(50_000)  # what is imported and planned is no garbage; looking for it again and again takes 80 ms
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # its threads spin on the processors that workers start on

from conformance.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
