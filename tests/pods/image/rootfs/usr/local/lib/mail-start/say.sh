# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What is said, and giving up.

say() {
	printf '[start] %s\n' "$*"
}

# The end of the container is asked of process 1, whoever that is.
give_up() {
	printf '[start] ERROR: %s\n' "$*" >&2
	kill -TERM 1
	kill -USR1 "$SCRIPT_PID"
	exit 1
}
