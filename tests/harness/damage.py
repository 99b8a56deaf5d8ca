"""The files of a log as docs/formats draws them, for those who damage them: where things are, and
how a checksum is made right again."""

import struct

from harness.claims import check

BLOCK = 4096
NOTE = "journal.durable"


def crc32c(data):
    crc = 0xFFFFFFFF
    for octet in data:
        crc = TABLE[(crc ^ octet) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def table():
    entries = []
    for octet in range(256):
        for _ in range(8):
            octet = (octet >> 1) ^ (0x82F63B78 if octet & 1 else 0)
        entries.append(octet)
    return entries


TABLE = table()


def flip(path, position):
    """One bit."""
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


def checkpoints(data):
    """Both, the newest first."""
    found = sorted(data.glob("checkpoint.*"), reverse=True,
                   key=lambda path: struct.unpack(">Q", path.read_bytes()[8:16]))
    check(found, f"no checkpoint in {data}")
    return found


def write_checkpoint(path, version, body):
    """Over another one, with its sequence and the right checksums."""
    sequence = path.read_bytes()[8:16]
    head = b"OFC1" + struct.pack(">HH", version, 0) + sequence + struct.pack(
        ">QI", len(body), crc32c(body))
    path.write_bytes(head + struct.pack(">I", crc32c(head)) + body)


def journals(data):
    return sorted((data / "journal").glob("*.journal"))


def frames(path):
    """(place, size of the payload) of each frame of a journal's file, in order."""
    data = path.read_bytes()
    at = 0
    while at + 64 <= len(data):
        if data[at:at + 4] == b"OFJ1":
            payload, = struct.unpack(">I", data[at + 40:at + 44])
            yield at, payload
            at += (64 + payload + BLOCK - 1) // BLOCK * BLOCK
        else:
            at += BLOCK


def live_journal(data):
    """The file that was written last, and the place of its last frame that holds anything."""
    newest = max(journals(data), key=lambda path: struct.unpack(">Q", path.read_bytes()[16:24]))
    return newest, [at for at, payload in frames(newest) if payload > 0][-1]


def zero_from(path, position):
    data = bytearray(path.read_bytes())
    data[position:] = bytes(len(data) - position)
    path.write_bytes(data)


def change_last_frame(data, change):
    """`change` gets the payload of the journal's last frame as a bytearray; all checksums are
    right afterwards, and nothing follows it."""
    path, at = live_journal(data)
    content = bytearray(path.read_bytes())
    size, = struct.unpack(">I", content[at + 40:at + 44])
    payload = content[at + 64:at + 64 + size]
    change(payload)
    content[at + 64:at + 64 + size] = payload
    content[at + 44:at + 48] = struct.pack(">I", crc32c(payload))
    content[at + 60:at + 64] = struct.pack(">I", crc32c(content[at:at + 60]))
    path.write_bytes(content)
    zero_from(path, at + (64 + size + BLOCK - 1) // BLOCK * BLOCK)


def change_note(data, change):
    """`change` gets the note as [journal id, boot id, position, synced position]."""
    path = data / NOTE
    fields = list(struct.unpack(">QQQQ", path.read_bytes()[8:40]))
    change(fields)
    head = b"OFN1" + struct.pack(">HHQQQQ", 1, 0, *fields)
    path.write_bytes(head + struct.pack(">I", crc32c(head)))


def segments(data, topic, partition=0):
    return sorted((data / "topics" / f"{topic}-{partition}").glob("*.log"))
