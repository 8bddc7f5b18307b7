# SPDX-License-Identifier: MIT
"""Processes of clients, which write what became of each session to a file, a line of JSON each."""
import ctypes
import json
import multiprocessing
import os
import signal
import threading

_PR_SET_PDEATHSIG = 1


class Journal:
    """One file for all threads of a process."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def write(self, **fields):
        with self._lock:
            self._file.write(json.dumps(fields) + "\n")


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Crew:
    """`workers` are functions of (stop event, journal): a thread each, in one process."""

    def __init__(self, path, workers):
        self.path = path
        context = multiprocessing.get_context("fork")
        self._stop = context.Event()
        self._process = context.Process(target=_work, args=(path, workers, self._stop, os.getpid()),
                                        daemon=True)
        open(path, "w", encoding="utf-8").close()

    def start(self):
        self._process.start()
        return self

    def ask_to_stop(self):
        self._stop.set()

    def join(self, within):
        """Its exit status; None when it does not end, and is ended then."""
        self._stop.set()
        self._process.join(within)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            return None
        return self._process.exitcode


def _work(path, workers, stop, parent):
    # The lab is the parent's to take down, and with the parent we go.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    journal = Journal(path)
    threads = [threading.Thread(target=worker, args=(stop, journal)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
