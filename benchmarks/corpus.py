"""The bundled songs under a compressor, beside real lyrics: python -m benchmarks.corpus [FILE.csv]."""

import collections
import lzma
import sys

from rnnjax.config import DataConfig
from rnnjax.data.songs import read_songs


def main() -> None:
    songs = read_songs(DataConfig(path=sys.argv[1] if len(sys.argv) > 1 else "bundled")).texts
    text = ", ".join(songs)
    compressed = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    lines = [line.strip() for song in songs for line in song.splitlines() if line.strip()]
    counts = collections.Counter(lines)
    print(f"{len(songs)} songs, {len(text):,} characters, {len(set(text))} different")
    print(f"xz -9e: {8 * len(compressed) / len(text):.2f} bits per character")
    print(f"lines that stand elsewhere before: {1 - len(counts) / len(lines):.0%} of {len(lines):,}")


if __name__ == "__main__":
    main()
