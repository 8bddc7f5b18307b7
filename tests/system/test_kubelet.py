# SPDX-License-Identifier: MIT
"""The lab's kubelet makes the inotify events that a real one does, in their order."""
import ctypes
import os
import struct

import pytest

from lab.kubelet import Volume

MASKS = {0x4: "ATTRIB", 0x40: "MOVED_FROM", 0x80: "MOVED_TO", 0x100: "CREATE", 0x200: "DELETE"}
IS_FOLDER = 0x40000000
EVENT = struct.Struct("iIII")


class Watch:
    """What happens in a folder, as "CREATE name"; a generation's name is "..time"."""

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.fd >= 0
        assert libc.inotify_add_watch(self.fd, os.fsencode(folder), sum(MASKS)) >= 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def events(self):
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return []
        said = []
        while data:
            _, mask, _, size = EVENT.unpack_from(data)
            name = data[EVENT.size:EVENT.size + size].rstrip(b"\0").decode()
            data = data[EVENT.size + size:]
            if name.startswith("..2"):
                assert mask & IS_FOLDER
                name = "..time"
            said.append(f"{MASKS[mask & ~IS_FOLDER]} {name}")
        return said


BEGIN = ["CREATE ..time", "ATTRIB ..time", "ATTRIB ..time"]
SWAP = ["CREATE ..data_tmp", "MOVED_FROM ..data_tmp", "MOVED_TO ..data"]
END = ["DELETE ..time"]


def joined(events):
    """Equal events that follow each other may come as one."""
    return [event for at, event in enumerate(events) if at == 0 or events[at - 1] != event]


@pytest.mark.parametrize("order", ["new", "old"])
def test_swap_makes_kubelets_events(tmp_path, order):
    volume = Volume(tmp_path / "volume")
    assert volume.write({"a": b"1", "b": b"1"}, order)
    with Watch(volume.path) as watch:
        assert volume.write({"a": b"2"}, order)
        assert joined(watch.events()) == joined(BEGIN + SWAP + END)
        assert volume.write({"c": b"2"}, order)
        added = BEGIN + SWAP + ["CREATE c"] if order == "new" else BEGIN + ["CREATE c"] + SWAP
        assert joined(watch.events()) == joined(added + END)
        assert volume.write({"b": None}, order)
        assert joined(watch.events()) == joined(BEGIN + SWAP + ["DELETE b"] + END)
        assert not volume.write({"a": b"2", "b": None}, order)
        assert watch.events() == []
    assert volume.read() == {"a": b"2", "c": b"2"}
    assert sorted(name for name in os.listdir(volume.path) if not name.startswith("..2")) == \
        ["..data", "a", "c"]


def test_files_beside_the_volume_stay(tmp_path):
    beside = tmp_path / "beside"
    beside.write_bytes(b"mine")
    volume = Volume(tmp_path)
    volume.write({"a": b"1"})
    volume.write({"a": None})
    assert volume.read() == {}
    assert beside.read_bytes() == b"mine"
