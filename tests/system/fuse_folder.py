# SPDX-License-Identifier: MIT
"""A FUSE file system with one folder, whose files are those of another; run in a lab host.

    fuse_folder.py FOLDER MOUNT_POINT [SILENT...]

What changes in FOLDER is there at once below MOUNT_POINT, and no event tells of it: as on a server
of files, whose changes come from elsewhere.  linux/fuse.h, protocol 7.31; read only.  Requests of a
SILENT kind, by their number, are taken and never answered, while there is a folder FOLDER.silent.
"""
import ctypes
import errno
import os
import stat
import struct
import sys

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 14, 15, 17, 18
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = 25, 26, 27, 28, 29, 36, 42
HEADER = struct.Struct("=IIQQIIII")
ROOT_ID = 1
DIRECT_IO = 1  # every read comes here
REQUEST_BYTES = 1 << 18


class Folder:
    """Numbers of its files are given when they are first asked for."""

    def __init__(self, path):
        self.path = path
        self.names = {}

    def number(self, name):
        if name not in self.names.values():
            self.names[ROOT_ID + 1 + len(self.names)] = name
        return next(number for number, known in self.names.items() if known == name)

    def attributes(self, node):
        path = self.path if node == ROOT_ID else os.path.join(self.path, self.names[node])
        info = os.stat(path)
        mode = (stat.S_IFDIR | 0o755) if node == ROOT_ID else (stat.S_IFREG | 0o644)
        return struct.pack("=6Q10I", node, info.st_size, 1, 0, int(info.st_mtime), 0, 0,
                           info.st_mtime_ns % 10**9, 0, mode, 1, 0, 0, 0, 512, 0)

    def read(self, node):
        with open(os.path.join(self.path, self.names[node]), "rb") as file:
            return file.read()

    def entries(self):
        found = b""
        for name in [b".", b"..", *(name.encode() for name in sorted(os.listdir(self.path)))]:
            record = struct.pack("=QQII", ROOT_ID, 0, len(name), 0) + name
            found += record + bytes(-len(record) % 8)
        return found

    def listed(self, offset):
        """Each entry's offset is where the next one begins."""
        whole, found, at = self.entries(), b"", 0
        while at < len(whole):
            size = 24 + struct.unpack_from("=I", whole, at + 16)[0]
            size += -size % 8
            if at >= offset:
                found += whole[at:at + 8] + struct.pack("=Q", at + size) + \
                    whole[at + 16:at + size]
            at += size
        return found

    def answer(self, opcode, node, body):
        """What the kernel is told; None: nothing."""
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            return None
        if opcode == INIT:
            return struct.pack("=4I2H2I", 7, 31, 0, 0, 0, 0, 4096, 1) + bytes(36)
        if opcode == GETATTR:
            return struct.pack("=QII", 0, 0, 0) + self.attributes(node)
        if opcode == LOOKUP:
            found = self.number(os.fsdecode(body.rstrip(b"\0")))
            return struct.pack("=4Q2I", found, 0, 0, 0, 0, 0) + self.attributes(found)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("=QII", 0, DIRECT_IO if opcode == OPEN else 0, 0)
        if opcode in (READ, READDIR):
            _, offset, size = struct.unpack_from("=QQI", body)
            if opcode == READDIR:
                return self.listed(offset)[:size]
            return self.read(node)[offset:offset + size]
        if opcode == STATFS:
            return struct.pack("=5Q4I", 0, 0, 0, 0, 0, 512, 255, 512, 0) + bytes(24)
        if opcode in (RELEASE, RELEASEDIR, FLUSH):
            return b""
        raise OSError(errno.ENOSYS, "not served")


def main():
    folder, point = sys.argv[1:3]
    silent = {int(number) for number in sys.argv[3:]}
    fd = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"fuse", point.encode(), b"fuse", ctypes.c_ulong(1), options) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    served = Folder(folder)
    while True:
        request = os.read(fd, REQUEST_BYTES)
        _, opcode, unique, node = HEADER.unpack_from(request)[:4]
        if opcode in silent and os.path.isdir(f"{folder}.silent"):
            continue
        try:
            code, data = 0, served.answer(opcode, node, request[HEADER.size:])
        except OSError as error:
            code, data = -error.errno, b""
        if data is not None:
            os.write(fd, struct.pack("=IiQ", 16 + len(data), code, unique) + data)


if __name__ == "__main__":
    main()
