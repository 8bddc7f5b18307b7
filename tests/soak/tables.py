# SPDX-License-Identifier: MIT
"""The table at the end, and what disagrees."""

SHOWN = 40


def show(record, rows):
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        print(f"  {label.ljust(width)}  {text}")
    print()
    if not record.problems:
        print("everything agrees")
        return
    print(f"{len(record.problems)} disagree:")
    for text, n in record.problems.most_common(SHOWN):
        print(f"  {n} x {text}")
    if len(record.problems) > SHOWN:
        print(f"  and {len(record.problems) - SHOWN} more")
