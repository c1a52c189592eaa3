"""Runs the AWS emulator, taught what it lacks (see taught/), for as long as whoever started it lives.

The emulator has no such mode: killed test runs would leave it, and the Lambda processes it started, behind. The starter
holds the other end of our standard input; when that closes, for whatever reason, this process asks itself to stop.
"""

import os
import signal
import sys
import threading


def stop_when_input_closes() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    # The folder of this file is the repository's: no compiled leftovers in it.
    sys.dont_write_bytecode = True
    from taught import teach

    teach()
    from ministack.app import main

    threading.Thread(target=stop_when_input_closes, daemon=True).start()
    sys.argv = ["ministack"]
    sys.exit(main())
