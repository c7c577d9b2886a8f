"""Decodes what came back of a run, as whoever wants the value would: the other half of each row of the leak
matrix. Reads a JSON list of [decoder, text], writes a JSON list of texts."""

import base64
import bz2
import gzip
import html
import json
import lzma
import quopri
import re
import sys
import urllib.parse
import zlib


def numbers(text, pattern, base, size=1, order="little"):
    out = b""
    for digits in re.findall(pattern, text):
        try:
            out += int(digits, base).to_bytes(size, order)
        except OverflowError:
            out += b"\0"
    return out


def dump(text, pattern, base, size=1):
    """The body of each line, without its offset and its column of characters."""
    body = ""
    for line in text.splitlines():
        line = re.sub(r"^\s*[0-9a-fA-F]{6,}:?", "", line)
        line = re.split(r"  +[|>]", line)[0]
        body += line + "\n"
    return numbers(body, pattern, base, size)


def xxd(text):
    body = ""
    for line in text.splitlines():
        body += re.sub(r"^[0-9a-f]{8}: ", "", line).split("  ")[0]
    return numbers(re.sub(r"\s", "", body), r"[0-9a-f]{2}", 16)


def every_alignment(decode, text, symbols, group):
    text = re.sub("[^" + symbols + "]", "", text)
    out = b""
    for start in range(group):
        part = text[start:]
        part = part[: len(part) - len(part) % group]
        try:
            out += decode(part) + b"\n"
        except Exception:
            pass
    return out


def b64(text):
    text = text.replace("-", "+").replace("_", "/")
    return every_alignment(base64.b64decode, text + "AAAA", "A-Za-z0-9+/", 4)


def b32(text, alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    text = text.upper().translate(str.maketrans(alphabet, plain)) if alphabet != plain else text.upper()
    return every_alignment(base64.b32decode, text + "AAAAAAAA", "A-Z2-7", 8)


def text_of(data):
    return data.decode("latin-1")


def unzip(decode):
    def inner(text):
        try:
            return decode(text)
        except Exception:
            return b""
    return inner


def letters(text):
    return re.sub(r"\x1b\[[0-9;]*m|\x1b\][^\x07]*\x07|[\s\0]", "", text).encode("latin-1", "replace")


def base58(text):
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for digit in text.strip():
        if digit not in alphabet:
            return b""
        number = number * 58 + alphabet.index(digit)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def indexed(text):
    return "".join(part[1] for part in re.findall(r"(\d+)\W+(\S)", text)).encode("latin-1", "replace")


def atbash(text):
    a = "abcdefghijklmnopqrstuvwxyz"
    return text.translate(str.maketrans(a + a.upper(), a[::-1] + a.upper()[::-1]))


DECODERS = {
    "plain": lambda t: t.encode("latin-1", "replace"),
    "reversed": lambda t: t[::-1].encode("latin-1", "replace"),
    "letters": letters,
    "between": lambda t: re.sub(r"[\s,.:;/|'\"\[\]_-]", "", t).encode("latin-1", "replace"),
    "second": lambda t: re.sub(r"\s", "", t)[::2].encode("latin-1", "replace"),
    "indexed": indexed,
    "rot13": lambda t: __import__("codecs").encode(t, "rot13").encode("latin-1", "replace"),
    "rot1": lambda t: "".join(chr(ord(c) - 1) if ord(c) > 32 else c for c in t).encode("latin-1", "replace"),
    "rot47": lambda t: "".join(chr(33 + (ord(c) - 33 + 47) % 94) if 33 <= ord(c) <= 126 else c for c in t).encode("latin-1", "replace"),
    "atbash": lambda t: atbash(t).encode("latin-1", "replace"),
    "base64": b64,
    "base64 twice": lambda t: b64(text_of(b64(t))),
    "base64 reversed": lambda t: b64(t[::-1]),
    "base64 hex": lambda t: numbers(text_of(b64(t)), r"[0-9a-f]{2}", 16),
    "base64 utf-16": lambda t: b64(t).replace(b"\0", b""),
    "base64 gzip": unzip(lambda t: gzip.decompress(base64.b64decode(t))),
    "base64 zlib": unzip(lambda t: zlib.decompress(base64.b64decode(t))),
    "base64 deflate": unzip(lambda t: zlib.decompress(base64.b64decode(t), -15)),
    "base64 bzip2": unzip(lambda t: bz2.decompress(base64.b64decode(t))),
    "base64 xz": unzip(lambda t: lzma.decompress(base64.b64decode(t))),
    "hex gzip": unzip(lambda t: gzip.decompress(bytes.fromhex("".join(t.split())))),
    "base32": b32,
    "base32hex": lambda t: b32(t, "0123456789ABCDEFGHIJKLMNOPQRSTUV"),
    "base58": base58,
    "base85": unzip(lambda t: base64.b85decode(t.strip())),
    "ascii85": unzip(lambda t: base64.a85decode(t.strip())),
    "uu": unzip(lambda t: b"".join(__import__("binascii").a2b_uu(line + "\n") for line in t.splitlines() if line)),
    "hex": lambda t: numbers(re.sub(r"0x|\\x|%|=|&#x|\\u00|U\+00|\\u\{|[\s:;,}-]", "", t, flags=re.I), r"[0-9a-fA-F]{2}", 16),
    "hex reversed": lambda t: numbers(re.sub(r"\s", "", t)[::-1], r"[0-9a-fA-F]{2}", 16),
    "hex base64": lambda t: b64(text_of(numbers(re.sub(r"\s", "", t), r"[0-9a-f]{2}", 16))),
    "octal": lambda t: numbers(t, r"[0-7]{2,3}", 8),
    "decimal": lambda t: numbers(t, r"\d{2,3}", 10),
    "binary": lambda t: numbers(t, r"[01]{8}", 2),
    "dump hex": lambda t: dump(t, r"[0-9a-f]{2}", 16),
    "dump octal": lambda t: dump(t, r"[0-7]{3}", 8),
    "dump decimal": lambda t: dump(t, r"\d+", 10),
    "dump binary": lambda t: dump(t, r"[01]{8}", 2),
    "dump words": lambda t: dump(t, r"[0-9a-f]{4}", 16, 2),
    "dump words 4": lambda t: dump(t, r"[0-9a-f]{8}", 16, 4),
    "dump words 8": lambda t: dump(t, r"[0-9a-f]{16}", 16, 8),
    "dump octal words": lambda t: dump(t, r"[0-7]{6}", 8, 2),
    "dump decimal words": lambda t: dump(t, r"\d+", 10, 2),
    "dump letters": lambda t: re.sub(r"^[0-7]{7}|\s", "", t, flags=re.M).encode("latin-1", "replace"),
    "xxd": xxd,
    "behind a bracket": lambda t: re.sub(r"^.*?\] |\n", "", t, flags=re.M).encode("latin-1", "replace"),
    "dump hex behind a bracket": lambda t: dump(re.sub(r"^.*?\] ", "", t, flags=re.M), r"[0-9a-f]{2}", 16),
    "json logs": lambda t: "".join(re.findall(r'"log":"(.*?)","stream', t)).replace("\\", "").encode("latin-1", "replace"),
    "cells": lambda t: "".join(cell.strip() for cell in re.findall(r"^\|.*?\|(.*?)\|", t, re.M)).encode("latin-1", "replace"),
    "numbered": lambda t: re.sub(r"^\s*\d+[:\t ]+|\s", "", t, flags=re.M).encode("latin-1", "replace"),
    "html": lambda t: html.unescape(t).encode("latin-1", "replace"),
    "percent": lambda t: urllib.parse.unquote_to_bytes(t),
    "percent twice": lambda t: urllib.parse.unquote_to_bytes(urllib.parse.unquote(t)),
    "percent thrice": lambda t: urllib.parse.unquote_to_bytes(urllib.parse.unquote(urllib.parse.unquote(t))),
    "percent base64": lambda t: b64(urllib.parse.unquote(t)),
    "json base64": lambda t: b64(t.replace("\\n", "")),
    "json json": lambda t: DECODERS["json"](text_of(DECODERS["json"](t))),
    "html json percent": lambda t: urllib.parse.unquote_to_bytes(html.unescape(t).replace("\\", "")),
    "quopri html percent": lambda t: urllib.parse.unquote_to_bytes(html.unescape(text_of(DECODERS["quopri"](t)))),
    "shell hex": lambda t: re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), t).encode("latin-1", "replace"),
    "css": lambda t: re.sub(r"\\([0-9a-f]{1,6}) ?", lambda m: chr(int(m[1], 16)), t).encode("latin-1", "replace"),
    "ldap": lambda t: re.sub(r"\\([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), t).encode("latin-1", "replace"),
    "zone": lambda t: re.sub(r"\\([0-9]{3})", lambda m: chr(int(m[1])), t).encode("latin-1", "replace"),
    "quopri": lambda t: quopri.decodestring(t.encode("latin-1", "replace")),
    "json": lambda t: re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), t).replace("\\", "").encode("latin-1", "replace"),
    "shell": lambda t: re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), t).replace("\\", "").encode("latin-1", "replace"),
    "zeros": lambda t: t.replace("\0", "").encode("latin-1", "replace"),
    "xor": lambda t: bytes(b ^ 42 for b in numbers(t, r"[0-9a-f]{2}", 16)),
    "tags": lambda t: re.sub(r"<[^>]*>", "", t).encode("latin-1", "replace"),
    "wide letters": lambda t: "".join(chr(ord(c) - 0xFEE0) if 0xFF01 <= ord(c) <= 0xFF5E else c for c in t).encode("latin-1", "replace"),
    "twice": lambda t: re.sub(r"(.)\1", r"\1", t.strip()).encode("latin-1", "replace"),
    "backspaces": lambda t: re.sub(r".\x08", "", t).encode("latin-1", "replace"),
}


def decoded(name, text):
    """What a decoder makes of a text, whose characters are bytes: bytes, none where it can't."""
    return unzip(DECODERS[name])(text)


if __name__ == "__main__":
    cases = json.load(sys.stdin)
    json.dump([decoded(name, text).decode("latin-1") for name, text in cases], sys.stdout)
