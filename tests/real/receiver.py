"""A GPS receiver on a terminal of its own, whose name is printed: LOG SECONDS-PER-SENTENCE.

Of the parts that gpsfake is made of, in Debian's python3-gps.
"""

import sys
import time

from gps.fake import FakePTY, TestLoad

log, pause = sys.argv[1:]
receiver = FakePTY(TestLoad(log))
print(receiver.byname, flush=True)
while True:
    receiver.read()
    receiver.feed()
    time.sleep(float(pause))
