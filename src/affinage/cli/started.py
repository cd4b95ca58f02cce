"""When this process began its work, so that a budget counts the loading too."""

import time

STARTED = time.monotonic()
