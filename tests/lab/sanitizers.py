# SPDX-License-Identifier: MIT
"""What a test asks of the sanitizers, where the program under test has them (tests/sanitized).

Each is a part of an environment.  What ships knows nothing of the variable.
"""
import os

PRESENT = "POSTERN_LIBRARIES" in os.environ

# LeakSanitizer looks at a process's end, and needs memory, descriptors and a process for it.
WITHOUT_LEAKS = {"ASAN_OPTIONS": "detect_leaks=0"}
# AddressSanitizer keeps what is freed, to see who uses it still: memory grows for a while.
WITHOUT_QUARANTINE = {"ASAN_OPTIONS": "quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}
# Its handlers are there before anybody could see that a signal was ignored.
WITHOUT_SIGNALS = {"ASAN_OPTIONS": "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0"}
