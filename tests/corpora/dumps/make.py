#!/usr/bin/env python3
"""Makes the golden dumps anew, by the real tools: make.py, in this directory. Needs xxd, hexdump, od, hexyl, gdb, objdump,
objcopy, readelf, tcpdump, node. Each dump is made twice, of a text with a value in it and of one with another value of the
same length and widths; where the two differ is what a redactor has to mask. Layouts of tools that are no Debian package
(the kernel, PowerShell, Wireshark, lldb) are written after their sources.

Writes value/NAME and other/NAME; src/redact/tests/dumps.rs reads them."""

import os
import struct
import subprocess
import tempfile

VALUE = "Orchid-saddle/Walnut+granite 7 Copper.Velvet"
LEAD = "Some text that stands before it;\n"
TAIL = "\nand text that stands behind it, until the last line.\n"


def other(char):
    """Another character with as many digits in each base, as float and in words."""
    for first, last in ("09", "AZ", "ac", "dz"):
        if first <= char <= last:
            return chr((ord(char) - ord(first) + 1) % (ord(last) - ord(first) + 1) + ord(first))
    return char


COMMANDS = {
    "xxd": "xxd $F",
    "xxd-upper-12": "xxd -u -c 12 $F",
    "xxd-little": "xxd -e $F",
    "xxd-little-2": "xxd -e -g 2 $F",
    "xxd-little-8": "xxd -e -g 8 $F",
    "xxd-groups-1": "xxd -g 1 $F",
    "xxd-groups-1-8": "xxd -g 1 -c 8 $F",
    "xxd-groups-3": "xxd -g 3 -c 15 $F",
    "xxd-groups-4": "xxd -g 4 $F",
    "xxd-groups-16": "xxd -g 16 -c 32 $F",
    "xxd-bits": "xxd -b $F",
    "xxd-bits-4": "xxd -b -c 4 $F",
    "xxd-4": "xxd -c 4 $F",
    "xxd-1": "xxd -c 1 $F",
    "xxd-decimal-offsets": "xxd -d -o 4096 $F",
    "xxd-list": "xxd -i $F | sed 's/_[a-z_0-9]*_in/in/'",
    "xxd-plain-numbered": "xxd -p -c 20 $F | cat -n",
    "xxd-grep": "xxd $F | grep -n .",
    "xxd-prefixed": "xxd $F | sed 's/^/[pod-7f9c\\/app] 2026-11-25T10:02:03Z INFO  /'",
    "xxd-quoted": "xxd $F | sed 's/^/> > /'",
    "hexdump": "hexdump $F",
    "hexdump-canonical": "hexdump -C $F",
    "hexdump-octal": "hexdump -b $F",
    "hexdump-characters": "hexdump -c $F",
    "hexdump-decimal": "hexdump -d $F",
    "hexdump-octal-words": "hexdump -o $F",
    "hexdump-hex-words": "hexdump -v -x $F",
    "hexdump-format": """hexdump -v -e '"%08_ax  " 4/4 "%08x " "\\n"' $F""",
    "hexdump-format-bytes": """hexdump -v -e '"%_ad:\\t" 12/1 "%u " "\\n"' $F""",
    "hexdump-format-no-offset": """hexdump -v -e '8/2 "%04x." "\\n"' $F | tr . ' '""",
    "od": "od $F",
    "od-x1": "od -tx1 $F",
    "od-x1z": "od -A x -tx1z $F",
    "od-x2": "od -A d -tx2 $F",
    "od-x4": "od -tx4 $F",
    "od-x8": "od -A n -tx8 -v $F",
    "od-o1": "od -to1 $F",
    "od-o2": "od -A x -to2 -w8 $F",
    "od-o4": "od -to4 $F",
    "od-o8": "od -to8 $F",
    "od-u1": "od -A d -tu1 $F",
    "od-u2": "od -tu2 $F",
    "od-u4": "od -tu4 $F",
    "od-u4-no-offset": "od -A n -tu4 $F",
    "od-u8": "od -tu8 $F",
    "od-d1": "od -td1 -w10 $F",
    "od-d2": "od -td2 $F",
    "od-d4": "od -A x -td4 $F",
    "od-d8": "od -td8 $F",
    "od-c": "od -c $F",
    "od-c-hex": "od -A x -c -w20 $F",
    "od-a": "od -a $F",
    "od-x1-c": "od -tx1 -c $F",
    "od-x1-d1-a": "od -tx1 -td1 -a $F",
    "od-x2z-big": "od --endian=big -tx2z $F",
    "od-x4-big": "od --endian=big -A x -tx4 $F",
    "od-u4-big": "od --endian=big -tu4 $F",
    "od-narrow": "od -A x -tx1 -w4 $F",
    "od-narrow-1": "od -A d -tx1 -w1 -v $F",
    "od-no-offset": "od -A n -tx1 -w8 $F",
    "od-wide": "od -tx1 -w64 $F",
    "hexyl": "hexyl --color never $F",
    "hexyl-ascii": "hexyl --color never --border ascii $F",
    "hexyl-colours": "hexyl --color always $F",
    **{
        f"gdb-{fmt}": f"gdb -nx -batch -ex 'x/{count}{fmt} &_binary_in_start' in.o"
        for fmt, count in [("xb", 130), ("xh", 65), ("xw", 32), ("xg", 16), ("ub", 130), ("uh", 65), ("dw", 32), ("ug", 16),
                           ("ob", 130), ("oh", 65), ("ow", 32), ("tb", 130), ("cb", 130), ("zw", 32)]
    },
    "objdump": "objdump -s in.o",
    "readelf": "readelf -x .data in.o",
    "tcpdump": "tcpdump -nr in.pcap -X 2>/dev/null",
    "tcpdump-link": "tcpdump -nr in.pcap -xx 2>/dev/null",
    "node-list": "node -e 'console.log([...require(\"fs\").readFileSync(process.env.F)])'",
    "node-words": "node -e 'b=require(\"fs\").readFileSync(process.env.F);console.log([...new Uint16Array(b.buffer,b.byteOffset,64)].join(\"\\n\"))' | cat -n",
    "node-json": "node -e 'console.log(JSON.stringify(require(\"fs\").readFileSync(process.env.F), null, 1))'",
    "python-list": "python3 -c 'import pprint,os;pprint.pprint(list(open(os.environ[\"F\"],\"rb\").read()), compact=True)'",
}


def lines(data, width):
    return [(at, data[at : at + width]) for at in range(0, len(data), width)]


def shown(row):
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)


def pairs(row):
    return " ".join(f"{byte:02x}" for byte in row)


def halves(row):
    return pairs(row[:8]) + "  " + pairs(row[8:])


LAYOUTS = {
    # lib/hexdump.c, print_hex_dump(…, DUMP_PREFIX_OFFSET, 16, 1, …, true), and without the offset.
    "kernel": lambda data: [f"[ 1234.{567890 + at}] drv 0000:01:00.0: buf: {at:08x}: {pairs(row):<47}  {shown(row)}" for at, row in lines(data, 16)],
    "kernel-no-offset": lambda data: [f"[ 1234.{567890 + at}] buf: {pairs(row)}" for at, row in lines(data, 16)],
    "kernel-journal": lambda data: [f"Nov 25 10:02:03 host-1 kernel: buf@ffff: {pairs(row):<95}  {shown(row)}" for at, row in lines(data, 32)],
    # Format-Hex of PowerShell 7.
    "powershell": lambda data: ["   Label: String (System.String) <6A0F1D2C>", "", "          Offset Bytes                                           Ascii",
                                "                 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F",
                                "          ------ ----------------------------------------------- -----"]
    + [f"{at:016X} {pairs(row).upper():<47} {shown(row)}" for at, row in lines(data, 16)],
    "powershell-5": lambda data: ["           00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F", ""]
    + [f"{at:08X}   {pairs(row).upper():<47}  {shown(row)}" for at, row in lines(data, 16)],
    # Export of packet bytes.
    "wireshark": lambda data: [f"{at:04x}  {halves(row):<48}   {shown(row[:8])} {shown(row[8:])}" for at, row in lines(data, 16)],
    # encoding/hex, Dump.
    "go": lambda data: [f"{at:08x}  {halves(row):<48}  |{shown(row)}|" for at, row in lines(data, 16)],
    # memory read, and with --format x --size 4.
    "lldb": lambda data: [f"0x{0x100003f40 + at:x}: {pairs(row):<47}  {shown(row)}" for at, row in lines(data, 16)],
    "lldb-words": lambda data: [
        f"0x{0x100003f40 + at:x}: " + " ".join(f"0x{word:08x}" for (word,) in struct.iter_unpack("<I", row)) for at, row in lines(data[:128], 16)
    ],
    # u-boot's md.
    "u-boot": lambda data: [
        f"{0x82000000 + at:08x}: " + " ".join(f"{word:08x}" for (word,) in struct.iter_unpack("<I", row)) + f"    {shown(row)}" for at, row in lines(data[:128], 16)
    ],
    # Java's HexFormat and others: colons behind the offset, a bar, upper case.
    "bars": lambda data: [f"| {at:06X} | {pairs(row).upper():<47} | {shown(row):<16} |" for at, row in lines(data, 16)],
}


def pcap(payload):
    udp = struct.pack(">HHHH", 4000, 53, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])) + udp
    packet = bytes(12) + b"\x08\x00" + ip
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet


def make(directory, value):
    here = os.getcwd()
    data = (LEAD + value + TAIL).encode()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        open("in", "wb").write(data)
        open("in.pcap", "wb").write(pcap(data))
        subprocess.run("objcopy -I binary -O elf64-x86-64 in in.o", shell=True, check=True)
        made = {}
        for name, command in COMMANDS.items():
            done = subprocess.run(command, shell=True, env={**os.environ, "F": "in", "TZ": "UTC"}, capture_output=True)
            made[name] = done.stdout
            if done.returncode or not done.stdout:
                print(f"{name}: {done.returncode} {done.stderr.decode()[:200]}")
        for name, layout in LAYOUTS.items():
            made[name] = "".join(line.rstrip() + "\n" for line in layout(data)).encode()
        os.chdir(here)
    os.makedirs(directory, exist_ok=True)
    for name, dump in made.items():
        if dump:
            open(f"{directory}/{name}.txt", "wb").write(dump)
    return made


if __name__ == "__main__":
    one, two = make("value", VALUE), make("other", "".join(map(other, VALUE)))
    for name in one:
        if len(one[name]) != len(two[name]):
            print(f"{name}: not of the same length")
